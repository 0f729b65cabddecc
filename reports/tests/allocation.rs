//! The plot of what pods ask for.

use wavetank_reports::write_directory;

mod sample;

/// The SVG of a record's allocation; `None` without one.
fn drawn(test: &str, record: &wavetank_reports::record::RunRecord) -> Option<String> {
    let dir = std::env::temp_dir().join(format!("wavetank-reports-{}-{test}", std::process::id()));
    write_directory(record, &dir, &[]).unwrap();
    let svg = std::fs::read_to_string(dir.join("plots/allocation.svg")).ok();
    std::fs::remove_dir_all(&dir).unwrap();
    svg
}

#[test]
fn what_no_pod_asks_for_is_not_drawn() {
    let mut record = sample::record();
    let both = drawn("both", &record).unwrap();
    assert!(both.contains("allocatable CPU and memory") && both.contains("memory requested (%)"), "{both}");
    record.series.allocated_memory.rows.iter_mut().for_each(|(_, values)| values.fill(0));
    let cpu = drawn("cpu", &record).unwrap();
    assert!(cpu.contains("Requested share of allocatable CPU\n"), "{cpu}");
    assert!(cpu.contains("CPU requested (%)") && !cpu.contains("memory"), "{cpu}");
    record.series.allocated_cpu.rows.iter_mut().for_each(|(_, values)| values.fill(0));
    assert_eq!(drawn("neither", &record), None);
    assert!(drawn("empty", &sample::empty()).unwrap().contains("no data"), "nothing is known of an empty run");
}
