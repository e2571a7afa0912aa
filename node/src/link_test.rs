//! `link-test`: measures this box's link with its relay, and says which settings fit.

use crate::command::{by_box, show};
use crate::home::failed;
use crate::links::Reach;
use crate::options::{LinkTest, Options};
use crate::wallet::Wallet;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::{Advice, Congestion, LinkError, Sample, TestBounds, advise, measure};
use serde_json::{Value, json};
use std::time::Duration;

/// Kilobytes that one transfer moves at most.
const TRANSFER_KB_MAX: u64 = cunkou_link::TRANSFER_BYTES_MAX / 1024;

fn bounds(kilobytes: u64, seconds: u64) -> TestBounds {
    let transfer_bytes = kilobytes.clamp(24, TRANSFER_KB_MAX) * 1024;
    TestBounds { transfer_bytes, transfer: Duration::from_secs(seconds.clamp(1, 20)) }
}

/// Measures with both ways of congestion control. May block.
pub(crate) fn of_box(
    wallet: &Wallet,
    relays: &[String],
    reach: &Reach,
    asked: &Value,
) -> Result<Value, Failure> {
    let number = |key: &str, or: u64| asked[key].as_u64().unwrap_or(or);
    let bounds = bounds(number("kilobytes", 1024), number("seconds", 5));
    let relay = relays.first().ok_or_else(|| failed("no relay is named"))?;
    let one = |congestion| {
        let measuring = measure(relay, wallet, &reach.links.settings, congestion, &bounds);
        tokio::runtime::Handle::current().block_on(measuring).map_err(|e| told(&e))
    };
    let (cubic, bbr) = (one(Congestion::Cubic)?, one(Congestion::Bbr)?);
    let advice = advise(&cubic, &bbr);
    let bytes: u64 = cubic.cost.iter().chain(&bbr.cost).sum();
    Ok(json!({
        "schema": 1, "relay": relay, "profile_now": reach.profile.word(),
        "bytes": bytes,
        "samples": [sample(&cubic), sample(&bbr)],
        "advice": {
            "link": advice.profile.word(),
            "congestion": advice.congestion.map(Congestion::word),
            "relay_congestion": advice.relay.map(Congestion::word),
        },
        "words": words(&cubic, &bbr, &advice),
    }))
}

fn told(e: &LinkError) -> Failure {
    match e {
        LinkError::Unreachable(_) => failed(format!(
            "{e}\nUDP 不通,测不了;盒子会自己改走 HTTPS(443),看 status 的 link.over \
             / UDP does not get through, so nothing can be measured; the box goes over HTTPS (443) \
             by itself, see link.over in status"
        )),
        LinkError::Refused(_) | LinkError::Busy(_) => Failure::new(Exit::Refused, e.to_string()),
        _ => failed(e),
    }
}

fn thousandths([sent, lost]: [u64; 2]) -> u64 {
    lost.saturating_mul(1000) / sent.max(1)
}

fn sample(s: &Sample) -> Value {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    json!({
        "congestion": s.congestion.word(), "handshake_ms": ms(s.handshake),
        "rtt_ms": { "min": ms(s.rtt[0]), "median": ms(s.rtt[1]), "p95": ms(s.rtt[2]) },
        "up_kbit": s.up / 1000, "down_kbit": s.down / 1000,
        "up_loss_permille": thousandths(s.up_packets),
        "down_loss_permille": thousandths(s.down_packets),
        "mtu": s.mtu, "sent_bytes": s.cost[0], "received_bytes": s.cost[1],
    })
}

fn line(s: &Sample) -> String {
    let ms = |d: Duration| d.as_millis();
    let percent = |packets| {
        let lost = thousandths(packets);
        format!("{}.{}%", lost / 10, lost % 10)
    };
    format!(
        "{}: 握手 handshake {} ms; 往返 RTT {}/{}/{} ms; 上行 up {} kbit/s ({}); 下行 down {} kbit/s \
         ({}); MTU {}; {} kB",
        s.congestion.word(),
        ms(s.handshake),
        ms(s.rtt[0]),
        ms(s.rtt[1]),
        ms(s.rtt[2]),
        s.up / 1000,
        percent(s.up_packets),
        s.down / 1000,
        percent(s.down_packets),
        s.mtu,
        (s.cost[0] + s.cost[1]) / 1000,
    )
}

fn words(cubic: &Sample, bbr: &Sample, advice: &Advice) -> String {
    let mut words = vec![line(cubic), line(bbr)];
    words.push(format!(
        "建议在盒子的配置文件里写 / put into the box's configuration:\n  link = \"{}\"",
        advice.profile
    ));
    if let Some(congestion) = advice.congestion {
        words.push(format!("  congestion = \"{}\"", congestion.word()));
    }
    if let Some(congestion) = advice.relay {
        words.push(format!(
            "下行用 {0} 快得多,请县信息员看平台的 congestion / down is much faster with {0}; tell \
             county IT, who set congestion at the relay",
            congestion.word()
        ));
    }
    words.push("改后重启服务 / then restart the service".to_owned());
    words.join("\n")
}

/// Asks the running box, or measures here.
pub(crate) async fn run(options: &Options, given: &LinkTest) -> Result<(), Failure> {
    let will = bounds(given.kilobytes, given.seconds);
    let (bytes, seconds) = (will.bytes_max() / 1000, 8 * will.transfer.as_secs() + 10);
    announce(&format!(
        "最多用 {bytes} kB 流量,约 {seconds} 秒,慢的网络要几分钟 / uses at most {bytes} kB and \
         about {seconds} s, minutes on a slow link"
    ));
    let asked =
        json!({ "do": "link_test", "kilobytes": given.kilobytes, "seconds": given.seconds });
    let again = asked.clone();
    let here = move |_: &_, wallet: &Wallet, relays: &[String]| {
        of_box(wallet, relays, &Reach::default(), &again)
    };
    let value = by_box(options, asked, here).await?;
    let words = value["words"].as_str().unwrap_or_default().to_owned();
    show(options.json, &value, &words);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "said before it is done; answers go to standard output")]
fn announce(words: &str) {
    eprintln!("{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_uses_is_bounded_whatever_is_asked_for() {
        let most = bounds(u64::MAX, u64::MAX);
        assert!(most.bytes_max() < 52_000_000, "{}", most.bytes_max());
        assert_eq!(most.transfer.as_secs(), 20);
        assert!(bounds(0, 0).bytes_max() < 400_000);
    }
}
