//! What the README promises is proven somewhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

/// Texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_feature_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("\n## Features\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
        .collect();
    assert!(rows.len() >= 30, "{} features", rows.len());
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let [file, test] = quoted(cell)[..] else {
            panic!("no file and test in {row}");
        };
        let code = fs::read_to_string(root.join(file));
        let code = code.unwrap_or_else(|error| panic!("{file}: {error}"));
        let declaration = format!("fn {test}(");
        let at = code.find(&declaration);
        let at = at.unwrap_or_else(|| panic!("no test {test} in {file}"));
        let before = code[..at].trim_end().trim_end_matches("async").trim_end();
        // Those of `proptest!` stand under their attribute too.
        let attribute = before.lines().last().unwrap().trim();
        assert!(
            ["#[test]", "#[tokio::test"]
                .iter()
                .any(|known| attribute.starts_with(known)),
            "{test} in {file} stands under {attribute:?}"
        );
    }
}
