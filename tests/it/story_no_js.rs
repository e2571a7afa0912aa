//! The same job where no script runs: forms are sent by their buttons, the paper is printed, signed
//! and photographed.

use crate::story::{Photos, at, number_on, read_pdf};
use anyhow::{Result, ensure};
use cunkou_tests::agent::Agent;
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, until};

const STORY: &str = "story_no_js";

fn prepares(village: &Browser, photos: &Photos) -> Result<()> {
    village.fill("找人", "dxy")?;
    village.click("找人")?;
    village.click("单秀英")?;
    village.click("给TA办事")?;
    village.click("高龄津贴")?;
    village.click("给单秀英办理")?;
    village.choose("谁来办", "家属或他人")?;
    village.click("保存,继续")?;
    village.see("处要改")?;
    village.fill("姓名", "单立新")?;
    village.fill("与申请人关系", "侄子")?;
    village.screenshot("who")?;
    village.click("保存,继续")?;
    village.choose("本人现在已经在本县", "否")?;
    village.click("保存")?;
    village.see("可能符合")?;
    village.click("继续:准备材料")?;
    for material in ["居民户口簿", "本人银行卡或社会保障卡", "近期免冠照片（2寸）"]
    {
        village.click(material)?;
        village.click("暂缺,承诺补交(容缺)")?;
        village.fill("为什么现在没有", "在镇上侄子家里")?;
        village.press("暂缺,按时补交")?;
        village.click("回材料清单")?;
    }
    for (material, pages) in [
        ("居民身份证", &["人像面", "国徽面"][..]),
        ("高龄津贴申请（审批）表", &["全部页"]),
        ("诚信承诺书", &["全部页"]),
        ("授权委托书及受托人身份证", &["授权委托书", "受托人身份证人像面", "受托人身份证国徽面"]),
    ] {
        village.click(material)?;
        for (seed, page) in (30..).zip(pages) {
            village.photograph(page, &photos.turned(seed)?)?;
        }
        let pictures = village.pictures(pages.len())?;
        ensure!(pictures.iter().all(|(w, h)| h > w), "turned upright by the box: {pictures:?}");
        village.click("回材料清单")?;
    }
    village.see("7 项中 7 项齐")?;
    village.screenshot("materials")?;
    village.click("继续:填写申请表")?;
    village.choose("与谁同住", "独居")?;
    village.click("保存,继续")?;
    village.see("单立新")?;
    village.click("都对,请申请人签名")
}

fn signs_on_paper(village: &Browser, photos: &Photos) -> Result<String> {
    village.see("打印,签字,拍照")?;
    ensure!(!village.shows("在屏幕上签名")?, "nothing is offered that needs a script");
    let paper = read_pdf(STORY, "to-sign", &village.fetch("打开要签字的纸(PDF)")?)?;
    let flat = paper.replace(char::is_whitespace, "");
    for words in ["单秀英", "高龄津贴", "单立新"] {
        ensure!(flat.contains(words), "the paper does not say {words}:\n{paper}");
    }
    village.press("我同意,提交")?;
    village.see("拍下签好字的纸")?;
    village.attach("签好字的纸的照片", &photos.plain(40)?)?;
    village.screenshot("sign")?;
    village.press("我同意,提交")?;
    village.see("已收件,回执可以打印")?;
    village.screenshot("received")?;
    let number = number_on(&village.words()?)?;
    let receipt = read_pdf(STORY, "receipt", &village.fetch("收件回执")?)?;
    ensure!(
        receipt.replace(char::is_whitespace, "").contains("单立新") || receipt.contains("收件回执")
    );
    Ok(number)
}

#[test]
fn without_scripts_a_paper_is_printed_signed_and_photographed_and_the_case_goes_its_way()
-> Result<()> {
    if !installed() {
        return Ok(());
    }
    let photos = Photos::new()?;
    let county = County::start()?;
    county.stop("relay")?;
    let looks = Looks { scripts: false, ..Looks::default() };
    let village = at(&county, STORY, "li", looks)?;
    prepares(&village, &photos)?;
    let number = signs_on_paper(&village, &photos)?;
    county.start_node("relay")?;

    let township = at(&county, STORY, "wang", looks)?;
    township.go("/cases")?;
    township.see_after_reloads(40, &number)?;
    township.click("单秀英")?;
    until("all photos at the township", 30, || {
        township.reload().ok()?;
        (!township.shows("照片还在路上").ok()?).then_some(())
    })?;
    township.pictures(8)?;
    township.screenshot("case")?;
    township.click("收件")?;
    township.see("乡镇已收件")?;
    township.click("审核通过,上报县级")?;
    township.press("审核通过,上报县级")?;
    township.see("已上报县级")?;
    let case = township.path()?.rsplit('/').next().unwrap_or_default().to_owned();

    let zhao = county.person("zhao");
    let reviewer = Agent::sign_in(county.url("relay"), &zhao.login, &zhao.pin)?;
    until("the case at the county", 30, || {
        (reviewer.phase(&case).ok()? == "已上报县级").then_some(())
    })?;
    reviewer.act(&case, "accept", &[])?;
    reviewer.act(&case, "approve", &[("opinion", "同意")])?;

    village.see_after_reloads(40, "送达(签收)")?;
    village.click("送达(签收)")?;
    village.choose("交给谁", "代领人")?;
    village.attach("签好字的纸的照片", &photos.plain(41)?)?;
    village.press("已收到")?;
    village.see("填写代领人姓名和关系")?;
    village.screenshot("delivery-faults")?;
    village.fill("代领人姓名和关系", "单立新,侄子")?;
    village.attach("签好字的纸的照片", &photos.plain(41)?)?;
    village.press("已收到")?;
    village.see("已送达")?;
    village.click("评价")?;
    village.choose("申请人的评价", "不评价")?;
    village.press("评价")?;
    village.click("归档")?;
    village.see("已归档")?;
    village.see("评价(跳过)")?;
    village.see("单立新,侄子")?;
    village.screenshot("archived")
}
