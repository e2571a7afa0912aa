//! Which crates are in the programs, as CycloneDX 1.5 JSON: `cargo metadata` on standard input and
//! the hashes of `Cargo.lock`. The same sources give the same bytes.

use anyhow::{Context, Result};
use cunkou_tests::bare::root;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an office installs.
const PROGRAMS: [&str; 4] = ["cunkou-node", "cunkou-relay", "cunkou-verify", "cunkou-ukey"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn component(package: &Package, hashes: &BTreeMap<(String, String), String>) -> Value {
    let kind = if PROGRAMS.contains(&package.name.as_str()) { "application" } else { "library" };
    let mut out = json!({
        "type": kind, "bom-ref": purl(package), "name": package.name,
        "version": package.version, "purl": purl(package),
    });
    if let Some(licence) = &package.license {
        out["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    let key = (package.name.clone(), package.version.clone());
    if let Some(hash) = hashes.get(&key).filter(|_| package.source.is_some()) {
        out["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
    }
    out
}

fn main() -> Result<()> {
    let metadata: Metadata = serde_json::from_reader(std::io::stdin().lock())?;
    let lock: Lock = toml::from_str(&std::fs::read_to_string(root().join("Cargo.lock"))?)?;
    let hashes = lock.package.into_iter().filter_map(|p| Some(((p.name, p.version), p.checksum?)));
    let hashes: BTreeMap<_, _> = hashes.collect();
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    // What is built into a program or runs while it is built; not what tests need.
    let built: BTreeMap<&str, Vec<&str>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            let not_dev = |d: &&Dependency| {
                d.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
            };
            (node.id.as_str(), node.deps.iter().filter(not_dev).map(|d| d.pkg.as_str()).collect())
        })
        .collect();
    let programs = metadata.packages.iter().filter(|p| PROGRAMS.contains(&p.name.as_str()));
    let mut open: Vec<&str> = programs.map(|p| p.id.as_str()).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(built.get(id).into_iter().flatten());
        }
    }
    let package = |id: &&str| packages.get(*id).copied().context("a package without a name");
    let mut in_it = reached.iter().map(package).collect::<Result<Vec<_>>>()?;
    in_it.sort_by_key(|package| purl(package));
    let components: Vec<Value> = in_it.iter().map(|p| component(p, &hashes)).collect();
    let mut dependencies = Vec::new();
    for one in &in_it {
        let on = built.get(one.id.as_str()).into_iter().flatten();
        let on = on.map(|id| package(id).map(purl)).collect::<Result<BTreeSet<_>>>()?;
        dependencies.push(json!({ "ref": purl(one), "dependsOn": on }));
    }
    let bom = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": {
            "type": "application", "name": "cunkou", "bom-ref": "cunkou",
            "version": env!("CARGO_PKG_VERSION"),
        } },
        "components": components, "dependencies": dependencies,
    });
    println!("{}", serde_json::to_string_pretty(&bom)?);
    Ok(())
}
