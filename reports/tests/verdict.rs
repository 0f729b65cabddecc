//! What `report.html` says of a run as a whole.

use std::fs;

use wavetank_reports::record::RunRecord;
use wavetank_reports::write_directory;

mod sample;

fn page(record: &RunRecord, name: &str) -> String {
    let dir = std::env::temp_dir().join(format!("wavetank-verdict-{}-{name}", std::process::id()));
    write_directory(record, &dir, &[]).unwrap();
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    page
}

#[test]
fn a_run_that_is_another_than_the_pinned_one_is_not_shown_as_good() {
    let mut record = sample::record();
    record.summary.expectations.retain(|one| one.held);
    let all = record.summary.expectations.len();
    let held = format!("<div class=\"card verdict held\">All {all} expectations held.</div>");
    assert!(page(&record, "as-pinned").contains(&held));
    record.summary.pinned_fingerprint = Some("0123456789abcdef".into());
    let differs = format!(
        "<div class=\"card verdict broken\">All {all} expectations held. The scenario pins fingerprint \
         0123456789abcdef, the run has {}.</div>",
        record.summary.fingerprint
    );
    assert!(page(&record, "not-as-pinned").contains(&differs));
    let mut empty = sample::empty();
    empty.summary.pinned_fingerprint = Some("0123456789abcdef".into());
    assert!(
        page(&empty, "empty").contains("broken\">The scenario has no expectations. The scenario pins fingerprint 0")
    );
}
