//! One enrolled box that means harm, beside one that does not.

use anyhow::{Result, ensure};
use cunkou_link::LinkState;
use cunkou_tests::bare::Bare;
use cunkou_tests::county::{free_ports, programs, until};
use cunkou_tests::wild::{Says, WildBox};

/// The row of a box in the relay's status.
fn row(county: &Bare, name: &str) -> Result<serde_json::Value> {
    let status = county.relay(&["status"], "")?.json()?;
    let rows = status["boxes"].as_array().cloned().unwrap_or_default();
    Ok(rows.into_iter().find(|row| row["name"] == name).unwrap_or_default())
}

#[test]
fn a_box_that_sends_rubbish_is_suspended_in_words_until_county_it_lifts_it_and_others_go_on()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = Bare::found(&programs()?, folder.path(), free_ports()?, "云溪县")?;
    let _relay = county.serve_relay()?;
    for (name, place) in [("honest", "103"), ("wild", "104")] {
        county.offer(name, "village", place, &county.quic())?;
    }
    let quic = county.quic();
    let honest = WildBox::start(&county.data.join("honest.enrol"), 103, &quic, Says::OneByOne, 1)?;
    let wild = WildBox::start(&county.data.join("wild.enrol"), 104, &quic, Says::Rubbish, 2)?;
    until("a suspension", 120, || {
        row(&county, "wild").is_ok_and(|row| row["suspended"] == true).then_some(())
    })?;
    let why = until("words for the box", 60, || match wild.link() {
        LinkState::Offline { why, refused: true } => Some(why),
        _ => None,
    })?;
    ensure!(why.contains("suspended") && why.contains("county IT"), "{why}");
    ensure!(row(&county, "honest")?["suspended"] == false);
    honest.round_trip()?;
    let before = county.relay(&["status"], "")?.json()?["quarantine"].as_u64().unwrap_or(0);
    ensure!((1000..8000).contains(&before), "bounded: {before}");
    let device = row(&county, "wild")?["device"].as_str().unwrap_or_default().to_owned();
    let lifted = county.relay(&["lift", &device[..8]], "")?.json()?;
    ensure!(lifted["lifted"] == true, "{lifted}");
    // It is let in at once; what it may say waits until its quota has filled again.
    until("the box to be let in again", 60, || {
        matches!(wild.link(), LinkState::Online(_)).then_some(())
    })?;
    Ok(())
}
