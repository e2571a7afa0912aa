//! Who files: the applicant, family, a guardian with proof, the agent under a mandate.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::county::County;

/// What no record carries over, whatever the item asks.
const OWN: [(&str, &str); 12] = [
    ("enlist_date", "1975-03-01"),
    ("discharge_date", "1980年1月1日"),
    ("unit", "某部"),
    ("disability_cert_no", "13099919410203013841"),
    ("phone", "13900000101"),
    ("machine_name", "轮式拖拉机"),
    ("serial_no", "A1234"),
    ("invoice_no", "00112233"),
    ("invoice_date", "2026-05-06"),
    ("amount", "¥52,000"),
    ("children", "一女,1980年生"),
    ("due_date", "2027-03-01"),
];

fn agent(county: &County) -> Result<Agent> {
    let li = county.person("li");
    Agent::sign_in(county.url("village1"), &li.login, &li.pin)
}

#[test]
fn a_mandate_exists_only_when_somebody_acts_and_names_them_and_a_guardian_shows_proof() -> Result<()>
{
    let county = County::start()?;
    let li = agent(&county)?;
    let resident = li.search("仇志强")?.first().context("a resident")?.clone();
    let case = li.begin(&resident, "S3b-huli")?;
    let who = format!("/cases/{case}/who");
    let materials =
        || -> Result<String> { Ok(plain(&li.get(&format!("/cases/{case}/materials"))?.page()?)) };
    li.post(&who, &[("filer", "applicant")])?.done()?;
    let needed = materials()?;
    ensure!(!needed.contains("授权委托书") && !needed.contains("监护关系证明"), "{needed}");

    li.post(&who, &[("filer", "agent")])?.done()?;
    let needed = materials()?;
    ensure!(needed.contains("授权委托书") && !needed.contains("监护关系证明"), "{needed}");
    let page = li.get(&format!("/cases/{case}/answers"))?.page()?;
    ensure!(plain(&page).contains("李建国"), "the mandate names the true agent");

    let nobody = li.post(&who, &[("filer", "guardian"), ("name", ""), ("relation", "")])?;
    ensure!(nobody.status == 422, "a guardian has a name: {}", nobody.status);
    li.post(&who, &[("filer", "guardian"), ("name", "仇大伟"), ("relation", "父亲")])?.done()?;
    let needed = materials()?;
    ensure!(needed.contains("监护关系证明") && !needed.contains("授权委托书"), "{needed}");
    Ok(())
}

#[test]
fn each_of_the_seven_entries_can_be_filed_to_its_receipt() -> Result<()> {
    let county = County::start()?;
    let li = agent(&county)?;
    let mut papers = Papers::New(Dice::new(7), 640, 480);
    let residents = li.residents(0)?;
    let items = [
        "S1-gaoling",
        "S2-junren",
        "S3a-kunnan",
        "S3b-huli",
        "S4-nongji",
        "S5-dusheng",
        "S6-shengyu",
    ];
    for (item, resident) in items.iter().zip(&residents) {
        let mut file = || -> Result<bool> {
            let case = li.begin(resident, item)?;
            li.in_person(&case)?;
            li.answer_questions(&case)?;
            let photos = li.give_materials(&case, &mut papers)?;
            li.fill_form(&case, &OWN)?;
            li.sign(&case, &papers.photo(photos))?;
            li.receipt(&case)
        };
        ensure!(file().with_context(|| (*item).to_owned())?, "{item} has its receipt");
    }
    Ok(())
}
