//! Style sheet and scripts, inside the program, under names that change with their contents.

use cunkou_casework::suite::attachment_id;

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Name without the hash.
    pub name: &'static str,
    /// Type for `Content-Type`.
    pub kind: &'static str,
    /// Contents.
    pub bytes: &'static [u8],
}

/// All files.
pub const ALL: [Asset; 5] = [
    Asset {
        name: "app.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/app.css"),
    },
    Asset {
        name: "app.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/app.js"),
    },
    Asset {
        name: "htmx.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/vendor/htmx.min.js"),
    },
    Asset {
        name: "key.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/key.js"),
    },
    Asset {
        name: "signature.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/vendor/signature_pad.umd.min.js"),
    },
];

impl Asset {
    /// The address, which changes with the contents.
    #[must_use]
    pub fn address(&self) -> String {
        format!("/assets/{}-{}", &attachment_id(self.bytes).to_string()[..12], self.name)
    }
}

/// The address of a file by its name.
#[must_use]
pub fn address(name: &str) -> String {
    ALL.iter().find(|a| a.name == name).map(Asset::address).unwrap_or_default()
}

/// The file at an address.
#[must_use]
pub fn at(address: &str) -> Option<&'static Asset> {
    ALL.iter().find(|a| a.address() == address)
}
