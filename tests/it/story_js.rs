//! The whole job with scripts on: eight steps of a village, a township and a county.

use crate::story::{Photos, at, number_on, read_pdf};
use anyhow::{Result, ensure};
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, until};

const STORY: &str = "story_js";
/// How much of the signature's picture is dark.
const INK: &str = "
    const picture = [...document.images].find(i => i.alt === '屏幕签名');
    const canvas = document.createElement('canvas');
    canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;
    const pen = canvas.getContext('2d'); pen.drawImage(picture, 0, 0);
    const dots = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    let dark = 0;
    for (let i = 0; i < dots.length; i += 4) if (dots[i] < 100) dark++;
    return dark * 4 / dots.length;";

/// Finds 张桂兰 and others by everything that people say.
fn finds_people(village: &Browser) -> Result<()> {
    village.go("/residents")?;
    for (typed, found) in [
        ("张桂兰", "张桂兰"),
        ("zgl", "张桂兰"),
        ("兰婶", "张桂兰"),
        ("王福生", "张桂兰"),
        ("13900000101", "张桂兰"),
        ("0249", "张桂兰"),
        ("130999194305060249", "张桂兰"),
        ("sxy", "单秀英"),
        ("dxy", "单秀英"),
        ("xyh", "解永红"),
        ("qzq", "仇志强"),
        ("zxm", "曾小妹"),
        ("李䶮", "李䶮"),
    ] {
        village.fill("姓名、首字母", typed)?;
        village.click("找人")?;
        ensure!(village.value("姓名、首字母")? == typed, "what was typed stays");
        village.see(found)?;
    }
    village.fill("姓名、首字母", "3组")?;
    village.click("找人")?;
    village.see("3组")?;
    village.fill("姓名、首字母", "没有这个人")?;
    village.see("没找到")?;
    village.screenshot("nobody-found")?;
    // Without a button: the list follows what is typed.
    village.fill("姓名、首字母", "zgl")?;
    village.see("兰婶")?;
    village.screenshot("found-by-initials")
}

fn fills_the_draft(village: &Browser, photos: &Photos) -> Result<()> {
    village.click("张桂兰")?;
    village.see("给TA办事")?;
    village.screenshot("resident")?;
    village.click("给TA办事")?;
    village.see("给张桂兰办什么")?;
    village.screenshot("items")?;
    village.click("高龄津贴")?;
    village.see("指南版本")?;
    for words in ["受理条件", "申报材料", "时限", "收费", "设定依据", "摘要"] {
        village.see(words)?;
    }
    village.screenshot("guide")?;
    village.click("给张桂兰办理")?;
    village.choose("谁来办", "本人(帮办)")?;
    village.screenshot("who")?;
    village.click("保存,继续")?;

    village.see("先看符不符合")?;
    village.choose("本人现在已经在本县", "否")?;
    if village.shows("还要问")? && village.shows("户口在本县吗")? {
        village.choose("户口在本县吗", "是")?;
    }
    village.screenshot("questions")?;
    village.click("保存")?;
    village.see("可能符合")?;
    village.screenshot("likely")?;
    village.click("继续:准备材料")?;

    village.see("准备材料")?;
    village.screenshot("materials")?;
    village.click("居民身份证")?;
    village.photograph("人像面", &photos.turned(1)?)?;
    village.photograph("国徽面", &photos.plain(2)?)?;
    let pictures = village.pictures(2)?;
    ensure!(pictures[0].1 > pictures[0].0, "the first photo stands upright: {pictures:?}");
    village.fill("证件有效期到", "2030-05-06")?;
    village.click("保存有效期")?;
    village.see("已保存")?;
    village.screenshot("id-card")?;
    // One photo is blurred: it is taken again.
    village.click("重拍")?;
    village.photograph("人像面", &photos.turned(3)?)?;
    village.pictures(2)?;
    village.click("回材料清单")?;

    village.click("居民户口簿")?;
    for (page, seed) in [("首页", 4), ("户主页", 5), ("本人页", 6)] {
        village.photograph(page, &photos.plain(seed)?)?;
    }
    village.click("回材料清单")?;
    village.click("本人银行卡或社会保障卡")?;
    village.click("暂缺,承诺补交(容缺)")?;
    village.fill("为什么现在没有", "卡在儿子家,下周带来")?;
    village.screenshot("to-follow")?;
    village.click("暂缺,按时补交")?;
    village.see("容缺,补交期限")?;
    village.click("回材料清单")?;
    for (material, page, seed) in [
        ("高龄津贴申请(审批)表", "全部页", 7),
        ("近期免冠照片", "照片", 8),
        ("诚信承诺书", "全部页", 9),
    ] {
        // The catalogue writes full-width brackets.
        let material = material.replace('(', "（").replace(')', "）");
        village.click(&material)?;
        village.photograph(page, &photos.plain(seed)?)?;
        village.click("回材料清单")?;
    }
    village.see("6 项中 6 项齐")?;
    village.screenshot("materials-ready")?;
    village.click("继续:填写申请表")?;

    village.fill("联系电话", "1390000010")?;
    village.fill("现住址", "云岭村3组16号")?;
    village.screenshot("form")?;
    village.click("保存,继续")?;
    village.see("处要改")?;
    village.see("联系电话应为 11 位手机号")?;
    ensure!(village.value("联系电话")? == "1390000010", "what was typed stays");
    village.screenshot("form-faults")?;
    village.fill("联系电话", "13900000101")?;
    village.choose("与谁同住", "与配偶同住")?;
    village.click("保存,继续")
}

fn signs_and_submits(village: &Browser) -> Result<String> {
    village.see("核对")?;
    village.screenshot("answers")?;
    village.click("都对,请申请人签名")?;
    village.see("在屏幕上签名")?;
    // Nothing is drawn yet.
    village.click("我同意,提交")?;
    village.see("请先签名")?;
    village.sign()?;
    village.gone("请先签名")?;
    village.screenshot("signed")?;
    village.click("我同意,提交")?;
    village.see("已收件,回执可以打印")?;
    let number = number_on(&village.words()?)?;
    village.screenshot("received")?;
    ensure!(village.shows("已存本机(已到)")? || village.shows("✓ 已存本机")?, "saved here");
    village.see("○ 已上传县平台")?;
    village.see("件待上传")?;
    let receipt = read_pdf(STORY, "receipt", &village.fetch("收件回执")?)?;
    for words in [number.as_str(), "收件回执", "张桂兰", "高龄津贴", "居民身份证", "容缺", "12345"]
    {
        let flat = receipt.replace(char::is_whitespace, "");
        let wanted = words.replace(char::is_whitespace, "");
        ensure!(flat.contains(&wanted), "the receipt does not say {words}:\n{receipt}");
    }
    Ok(number)
}

fn township_forwards(township: &Browser, number: &str) -> Result<()> {
    township.go("/cases")?;
    township.see_after_reloads(20, number)?;
    township.screenshot("queue")?;
    township.click("张桂兰")?;
    township.see("已收件")?;
    // Photos come after the entries, previews or whole.
    until("all photos at the township", 30, || {
        township.reload().ok()?;
        (!township.shows("照片还在路上").ok()?).then_some(())
    })?;
    township.pictures(9)?;
    let ink = township.script(INK)?.as_f64().unwrap_or(0.0);
    ensure!(ink > 0.000_5 && ink < 0.1, "the signature is ink on white paper: {ink}");
    township.screenshot("case")?;
    township.click("收件")?;
    township.see("乡镇已收件")?;
    township.click("审核通过,上报县级")?;
    township.screenshot("forward")?;
    township.press("审核通过,上报县级")?;
    township.see("已上报县级")
}

fn county_asks(county: &Browser, number: &str) -> Result<()> {
    county.go("/cases")?;
    county.see_after_reloads(20, number)?;
    county.click("张桂兰")?;
    county.pictures(9)?;
    county.screenshot("case")?;
    county.click("要求补正(一次性告知)")?;
    county.tick("居民户口簿")?;
    county.fill("居民户口簿哪里要改", "本人页看不清,重拍一张")?;
    county.screenshot("asks")?;
    county.press("要求补正(一次性告知)")?;
    county.see("补正告知已发出")
}

fn village_supplements(village: &Browser, photos: &Photos) -> Result<()> {
    village.go("/")?;
    village.see_after_reloads(20, "个工作日")?;
    village.see("补正")?;
    village.screenshot("home-with-task")?;
    village.click("张桂兰")?;
    village.see("要补的材料")?;
    village.see("本人页看不清")?;
    village.screenshot("supplement")?;
    village.click("重拍这一项")?;
    village.photograph("本人页", &photos.plain(20)?)?;
    village.see("✓ 已重拍")?;
    village.click("提交补正")?;
    village.see("补正已提交")
}

fn county_decides(county: &Browser) -> Result<()> {
    county.see_after_reloads(20, "受理后承诺办结日")?;
    county.click("受理")?;
    county.see("承诺办结:")?;
    county.click("准予并办结")?;
    county.fill("审批意见", "经审核,年满八十周岁,同意发放。")?;
    county.screenshot("decides")?;
    county.press("准予并办结")?;
    county.see("已准予并办结")?;
    county.screenshot("decided")
}

fn village_hands_over(village: &Browser) -> Result<()> {
    village.see_after_reloads(20, "送达(签收)")?;
    village.screenshot("decided")?;
    let notice = read_pdf(STORY, "notice", &village.fetch("办结通知")?)?;
    let flat = notice.replace(char::is_whitespace, "");
    for words in ["张桂兰", "准予", "同意发放"] {
        ensure!(flat.contains(words), "the notice does not say {words}:\n{notice}");
    }
    village.click("送达(签收)")?;
    village.see("送达办结通知")?;
    village.sign()?;
    village.screenshot("delivery")?;
    village.click("已收到")?;
    village.see("已送达")?;
    village.click("评价")?;
    village.choose("申请人的评价", "非常满意")?;
    village.press("评价")?;
    village.see("谢谢评价")?;
    village.click("归档")?;
    village.see("已归档")?;
    village.screenshot("archived")
}

#[test]
fn a_village_files_offline_the_county_decides_and_the_village_hands_over_the_result() -> Result<()>
{
    if !installed() {
        return Ok(());
    }
    let photos = Photos::new()?;
    let county = County::start()?;
    county.stop("relay")?;
    let village = at(&county, STORY, "li", Looks::default())?;
    village.see("今天")?;
    village.screenshot("home")?;
    finds_people(&village)?;
    fills_the_draft(&village, &photos)?;
    let number = signs_and_submits(&village)?;

    county.start_node("relay")?;
    village.see_in(30, "✓ 已上传县平台")?;
    village.see("都已送到县里")?;
    let township = at(&county, STORY, "wang", Looks::default())?;
    township_forwards(&township, &number)?;
    let console = at(&county, STORY, "zhao", Looks::default())?;
    county_asks(&console, &number)?;
    village_supplements(&village, &photos)?;
    county_decides(&console)?;
    village_hands_over(&village)?;

    for step in [
        "李建国",
        "王芳",
        "赵敏",
        "收件",
        "乡镇收件",
        "上报县级",
        "一次性告知补正",
        "补正提交",
        "受理",
        "准予",
        "办结",
        "送达",
        "评价",
        "归档",
        "县平台证明登录",
        "本人密钥签名",
        "时间已与县平台核对",
    ] {
        village.see(step)?;
    }
    // What she gave once is not photographed again.
    village.search("/residents", "姓名、首字母", "找人", "0249")?;
    village.click("张桂兰")?;
    village.see("可以再用的材料")?;
    village.see("有效期到 2030-05-06")?;
    village.click("给TA办事")?;
    village.click("困难残疾人生活补贴")?;
    village.click("给张桂兰办理")?;
    village.choose("谁来办", "本人(帮办)")?;
    village.click("保存,继续")?;
    village.click("继续:准备材料")?;
    village.click("居民身份证")?;
    village.see("以前给过,可以直接用")?;
    village.screenshot("reuse")?;
    village.click("用以前的")?;
    village.pictures(2)?;
    village.see("的那张")?;
    village.screenshot("reused")?;
    let status = county.status("village1")?;
    ensure!(status["quarantine"] == 0, "{status}");
    Ok(())
}
