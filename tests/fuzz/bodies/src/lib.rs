//! The bodies of the fuzz targets: every decoder that meets bytes from outside, what must hold of
//! it, and seeds. A stable test drives them with all seeds and counted mutations (`tests/quick.rs`);
//! cargo-fuzz drives the same bodies for longer (`../fuzz_targets`).

mod bodies;
mod carried;
#[cfg(feature = "edge")]
mod edge;
#[cfg(feature = "edge")]
mod edge_seeds;
pub mod mutate;
mod seeds;

pub use bodies::with_worker;

/// One decoder under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its cargo-fuzz target.
    pub name: &'static str,
    /// Decodes; panics when something does not hold.
    pub run: fn(&[u8]),
    /// Well-formed and hostile inputs to begin from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Memory that decoding may take for each byte of input, above [`BASE_BYTES`].
    pub growth: usize,
    /// Mutations in the quick tier.
    pub quick: usize,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Memory that any decoder may take whatever the input. Bytes.
pub const BASE_BYTES: usize = 1024 * 1024;

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    growth: usize,
    quick: usize,
) -> Target {
    Target { name, run, seeds, growth, quick }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("entry", bodies::entry, seeds::entries, 32, 200_000),
    target("event", bodies::event, seeds::payloads, 64, 200_000),
    target("county", bodies::county, seeds::payloads, 64, 200_000),
    target("witness", bodies::witness, seeds::payloads, 64, 200_000),
    target("frame", bodies::frame, seeds::frames, 64, 200_000),
    target("session", bodies::session, seeds::conversations, 256, 100_000),
    // A sealed record costs a key exchange and a chunk of 64 KiB.
    target("bundle", carried::bundle, carried::bundles, 256, 10_000),
    target("ranges", bodies::ranges, seeds::ranges, 64, 200_000),
    target("enrol", bodies::enrol, seeds::enrolments, 64, 200_000),
    target("guard", bodies::guard, seeds::changes, 64, 3_000),
    target("catalogue", bodies::catalogue, seeds::catalogues, 64, 3_000),
    #[cfg(feature = "edge")]
    target("control", edge::control, edge_seeds::commands, 128, 100_000),
    #[cfg(feature = "edge")]
    target("csv", edge::csv, edge_seeds::tables, 256, 50_000),
    // A row number costs what an empty row costs, at most ROWS_MAX of them.
    #[cfg(feature = "edge")]
    target("xlsx", edge::xlsx, edge_seeds::books, 8 * 1024, 5_000),
    // A picture's size is in its head: 40 million pixels at most, and its copy turned upright.
    #[cfg(feature = "edge")]
    target("photo", edge::photo, edge_seeds::pictures, 512 * 1024, 3_000),
    #[cfg(feature = "edge")]
    target("form", edge::form, edge_seeds::forms, 256, 20_000),
];

/// Runs a target by its name.
///
/// # Panics
/// When there is no such target, or something does not hold.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name);
    match target {
        Some(target) => (target.run)(data),
        None => unreachable!("there is no target {name}"),
    }
}
