//! What the configuration says of the box's link.

use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::{Congestion, Profile, Settings};
use serde::Deserialize;

/// The keys of the link in the configuration of a box.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LinkConfig {
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    congestion: Option<String>,
    #[serde(default)]
    mtu_discovery: Option<Switch>,
}

/// On or off: a TOML boolean, or the word of an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Switch {
    Plain(bool),
    Word(String),
}

/// The kind of the link and the settings that follow from it and from what else is configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) profile: Profile,
    pub(crate) settings: Settings,
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

impl LinkConfig {
    /// What is not said follows from the kind of link.
    pub(crate) fn read(&self) -> Result<Links, Failure> {
        let profile: Profile = word(self.link.as_ref(), "link")?.unwrap_or_default();
        let mut settings = Settings::of(profile);
        let congestion: Option<Congestion> = word(self.congestion.as_ref(), "congestion")?;
        settings.congestion = congestion.unwrap_or(settings.congestion);
        settings.mtu_discovery = match &self.mtu_discovery {
            None => settings.mtu_discovery,
            Some(Switch::Plain(on)) => *on,
            Some(Switch::Word(word)) => word.parse().map_err(|_| {
                let words = format!("mtu_discovery: {word} is neither true nor false");
                Failure::new(Exit::Usage, words)
            })?,
        };
        Ok(Links { profile, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Links, Failure> {
        toml::from_str::<LinkConfig>(text).expect("TOML").read()
    }

    #[test]
    fn what_is_not_said_follows_from_the_kind_of_link() {
        let links = read("link = \"2g\"\ncongestion = \"cubic\"").expect("a link");
        assert_eq!(links.profile, Profile::Mobile2g);
        assert_eq!(links.settings.congestion, Congestion::Cubic);
        assert_eq!(links.settings.window, Settings::of(Profile::Mobile2g).window);
        assert_eq!(read("").expect("a link").profile, Profile::Mobile4g);
        assert!(read("mtu_discovery = \"true\"").expect("a link").settings.mtu_discovery);
    }

    #[test]
    fn a_wrong_word_is_told_with_the_right_ones() {
        let failure = read("link = \"5g\"").expect_err("a failure");
        assert!(failure.words.contains("wired, 4g, 2g or satellite"), "{}", failure.words);
    }
}
