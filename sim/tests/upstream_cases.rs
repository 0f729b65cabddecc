//! `docs/upstream-cases.md` cites tests and counts cases: every test that it names exists, and its sums are right.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A part of the page with its cases, covered, not applicable and open.
type Sum = (String, [u32; 4]);

/// The repository's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("sim lies in the repository")
}

/// One line of a table: its cells, without the blanks around them.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn numbers(cells: &[&str]) -> [u32; 4] {
    let numbers: Vec<u32> = cells.iter().map(|cell| cell.parse().unwrap_or_else(|_| panic!("{cells:?}"))).collect();
    numbers.try_into().expect("cases, covered, not applicable and open")
}

/// The names of all functions in the Rust files under a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let after_fn = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            names.extend(after_fn.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn the_page_on_upstream_s_cases_names_tests_that_exist_and_adds_up() {
    let page = fs::read_to_string(root().join("docs/upstream-cases.md")).expect("the page is there");
    let mut known = BTreeSet::new();
    ["core/src", "manifest/tests", "sim/src"].iter().for_each(|folder| functions(&root().join(folder), &mut known));
    assert!(known.len() > 500, "the walk finds the tests: {}", known.len());

    let (mut summary, mut parts) = (Vec::<Sum>::new(), Vec::<Sum>::new());
    let (mut cited, mut missing) = (0, Vec::new());
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            parts.push((title.to_owned(), [0; 4]));
        }
        let cells = cells(line);
        if !line.starts_with('|') || cells[1] == "cases" || cells[1].starts_with("--") {
            continue;
        }
        let counts = numbers(&cells[1..5]);
        assert_eq!(counts[0], counts[1..].iter().sum::<u32>(), "the parts of the cases in: {line}");
        let Some((_, sum)) = parts.last_mut() else {
            summary.push((cells[0].trim_matches('*').to_owned(), counts));
            continue;
        };
        (0..4).for_each(|place| sum[place] += counts[place]);
        let names: Vec<&str> = cells[5].split('`').skip(1).step_by(2).collect();
        assert_eq!(names.is_empty(), counts[1] == 0, "what is covered is covered by a test: {line}");
        cited += names.len();
        missing.extend(names.iter().filter(|name| !known.contains(**name)).map(|name| (*name).to_owned()));
    }
    assert!(missing.is_empty(), "docs/upstream-cases.md names tests that do not exist: {missing:#?}");
    assert!(cited > 200, "the page cites tests: {cited}");
    let mut all = [0; 4];
    parts.iter().for_each(|(_, sum)| (0..4).for_each(|place| all[place] += sum[place]));
    parts.push(("all".to_owned(), all));
    assert_eq!(summary, parts, "the summary says what the tables add up to");
}
