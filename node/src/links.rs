//! What the configuration says of the box's link.

use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::{Congestion, Links, Profile, Settings};
use serde::Deserialize;
use std::time::Duration;

/// The keys of the link in the configuration of a box.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LinkConfig {
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    congestion: Option<String>,
    #[serde(default)]
    mtu_discovery: Option<Switch>,
    #[serde(default)]
    proxy: Option<String>,
    #[serde(default)]
    neighbours: Option<Switch>,
    #[serde(default)]
    neighbours_after: Option<Seconds>,
}

/// A number of seconds, or one in an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

/// On or off: a TOML boolean, or the word of an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Switch {
    Plain(bool),
    Word(String),
}

/// Without its relay for so long, a box looks for others on the local network, unless told.
const NEIGHBOURS_AFTER: Duration = Duration::from_secs(600);

/// The kind of the link and the settings that follow from it and from what else is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) profile: Profile,
    pub(crate) links: Links,
    /// After how long without a relay boxes nearby are looked for; never when absent.
    pub(crate) neighbours: Option<Duration>,
}

impl Switch {
    fn read(&self, key: &str) -> Result<bool, Failure> {
        match self {
            Self::Plain(on) => Ok(*on),
            Self::Word(word) => word.parse().map_err(|_| {
                let words = format!("{key}: {word} is neither true nor false");
                Failure::new(Exit::Usage, words)
            }),
        }
    }
}

impl Seconds {
    fn read(&self, key: &str) -> Result<Duration, Failure> {
        let seconds = match self {
            Self::Number(seconds) => Ok(*seconds),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                let words = format!("{key}: {text} is no number of seconds");
                Failure::new(Exit::Usage, words)
            }),
        };
        seconds.map(Duration::from_secs)
    }
}

fn word<T: std::str::FromStr<Err = String>>(
    given: Option<&String>,
    key: &str,
) -> Result<Option<T>, Failure> {
    let read = |word: &String| {
        word.parse().map_err(|e: String| Failure::new(Exit::Usage, format!("{key}: {e}")))
    };
    given.map(read).transpose()
}

/// The usual links, through a proxy if one is named.
pub(crate) fn links_through(given: Option<&str>) -> Result<Links, Failure> {
    Ok(Links { proxy: given.map(proxy).transpose()?, ..Links::default() })
}

/// `host:port`, with or without the `http://` that people write before it.
fn proxy(text: &str) -> Result<String, Failure> {
    let at = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let port = at.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() || at.contains(['/', '@']) {
        let words = format!("proxy: {text} is no address; write for example http://10.1.1.1:8080");
        return Err(Failure::new(Exit::Usage, words));
    }
    Ok(at.to_owned())
}

impl LinkConfig {
    /// What is not said follows from the kind of link.
    pub(crate) fn read(&self) -> Result<Reach, Failure> {
        let profile: Profile = word(self.link.as_ref(), "link")?.unwrap_or_default();
        let mut settings = Settings::of(profile);
        let congestion: Option<Congestion> = word(self.congestion.as_ref(), "congestion")?;
        settings.congestion = congestion.unwrap_or(settings.congestion);
        let mtu_discovery = self.mtu_discovery.as_ref().map(|s| s.read("mtu_discovery"));
        settings.mtu_discovery = mtu_discovery.transpose()?.unwrap_or(settings.mtu_discovery);
        let proxy = self.proxy.as_deref().map(proxy).transpose()?;
        let wanted = self.neighbours.as_ref().map(|s| s.read("neighbours")).transpose()?;
        let after = self.neighbours_after.as_ref().map(|s| s.read("neighbours_after"));
        let after = after.transpose()?.unwrap_or(NEIGHBOURS_AFTER);
        let neighbours = wanted.unwrap_or(true).then_some(after);
        Ok(Reach { profile, links: Links { settings, proxy }, neighbours })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Reach, Failure> {
        toml::from_str::<LinkConfig>(text).expect("TOML").read()
    }

    #[test]
    fn what_is_not_said_follows_from_the_kind_of_link() {
        let reach = read("link = \"2g\"\ncongestion = \"cubic\"").expect("a link");
        assert_eq!(reach.profile, Profile::Mobile2g);
        assert_eq!(reach.links.settings.congestion, Congestion::Cubic);
        assert_eq!(reach.links.settings.window, Settings::of(Profile::Mobile2g).window);
        assert_eq!(read("").expect("a link").profile, Profile::Mobile4g);
        assert!(read("mtu_discovery = \"true\"").expect("a link").links.settings.mtu_discovery);
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        let proxy = |text: &str| read(&format!("proxy = \"{text}\""));
        for good in ["http://10.1.1.1:8080", "10.1.1.1:8080", "http://10.1.1.1:8080/"] {
            let read = proxy(good).expect("a proxy").links.proxy;
            assert_eq!(read.as_deref(), Some("10.1.1.1:8080"));
        }
        for bad in ["10.1.1.1", "https://10.1.1.1:8080", "http://a:b@10.1.1.1:8080"] {
            assert!(proxy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn boxes_nearby_are_looked_for_after_ten_minutes_unless_told_otherwise() {
        let neighbours = |text: &str| read(text).expect("a link").neighbours;
        assert_eq!(neighbours(""), Some(Duration::from_secs(600)));
        assert_eq!(neighbours("neighbours = false"), None);
        assert_eq!(neighbours("neighbours = \"false\"\nneighbours_after = 5"), None);
        assert_eq!(neighbours("neighbours_after = \"30\""), Some(Duration::from_secs(30)));
        assert!(read("neighbours = \"perhaps\"").is_err());
        assert!(read("neighbours_after = \"soon\"").is_err());
    }

    #[test]
    fn a_wrong_word_is_told_with_the_right_ones() {
        let failure = read("link = \"5g\"").expect_err("a failure");
        assert!(failure.words.contains("wired, 4g, 2g or satellite"), "{}", failure.words);
    }
}
