//! A run's directory, as a user finds it: what is in it, that it is whole or absent, and that nothing else is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wavetank_reports::record::{Marker, PodRow, RunRecord, StepSeries};
use wavetank_reports::text::render_account;
use wavetank_reports::{Error, write_directory};

mod sample;
use sample::{SECOND, steps};

/// A directory of the test's own, removed when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("wavetank-reports-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Every file below `dir`, by its path in it.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn written(test: &str, record: &RunRecord) -> BTreeMap<String, Vec<u8>> {
    let scratch = Scratch::new(test);
    let dir = scratch.0.join("run");
    write_directory(record, &dir, &[]).unwrap();
    assert_eq!(scratch.names(), ["run"], "hidden siblings are left");
    contents(&dir)
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(&files[name]).unwrap()
}

/// No element, attribute or entity is left open: enough to know that nothing of a record breaks the document.
fn assert_well_formed(name: &str, document: &str) {
    let mut reader = quick_xml::Reader::from_str(document);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => break,
            Ok(quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag)) => {
                for attribute in tag.attributes() {
                    attribute.unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            }
            Ok(_) => {}
            Err(error) => panic!("{name} at {}: {error}", reader.error_position()),
        }
    }
}

#[test]
fn a_run_leaves_these_files() {
    let files = written("files", &sample::record());
    let expected = [
        "events.csv",
        "facts.csv",
        "nodes.csv",
        "plots/allocation.png",
        "plots/allocation.svg",
        "plots/endpoints.png",
        "plots/endpoints.svg",
        "plots/nodes.png",
        "plots/nodes.svg",
        "plots/other-etcd-database-size.png",
        "plots/other-etcd-database-size.svg",
        "plots/pods.png",
        "plots/pods.svg",
        "plots/scheduling-latency.png",
        "plots/scheduling-latency.svg",
        "plots/startup-latency.png",
        "plots/startup-latency.svg",
        "pods.csv",
        "report.html",
        "series/allocated-cpu.csv",
        "series/allocated-memory.csv",
        "series/endpoints-default-web.csv",
        "series/nodes.csv",
        "series/other-etcd-database-size.csv",
        "series/pods-by-phase.csv",
        "services.csv",
        "summary.json",
    ];
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    for (name, bytes) in &files {
        match name.rsplit('.').next() {
            Some("png") => assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{name} is no PNG"),
            Some("svg") => assert_well_formed(name, std::str::from_utf8(bytes).unwrap()),
            _ => assert!(bytes.ends_with(b"\n"), "{name} does not end its last line"),
        }
    }
}

#[test]
fn equal_records_give_equal_bytes() {
    let (first, second) = (written("bytes-1", &sample::record()), written("bytes-2", &sample::record()));
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{name} differs between two writes of one record");
    }
    assert_eq!(first.len(), second.len());
    let mut other = sample::record();
    other.summary.seed += 1;
    let other = written("bytes-3", &other);
    let same: Vec<_> = ["summary.json", "report.html", "plots/pods.svg", "plots/pods.png"]
        .into_iter()
        .filter(|&name| other[name] == first[name])
        .collect();
    assert_eq!(same, [] as [&str; 0], "another seed is told nowhere in these files");
}

#[test]
fn the_tables_have_the_documented_columns_and_one_row_per_thing() {
    let record = sample::record();
    let files = written("tables", &record);
    let heads = [
        ("events.csv", "first_s,first_ns,last_s,last_ns,count,type,reason,subject,source,message", record.events.len()),
        ("facts.csv", "time_s,time_ns,seq,category,subject,reason,message,by,targets", record.facts.len()),
        (
            "pods.csv",
            "namespace,name,owner,node,phase,reason,restarts,created_s,created_ns,\
             scheduled_s,scheduled_ns,pulled_s,pulled_ns,started_s,started_ns,ready_s,ready_ns,\
             deleted_s,deleted_ns,gone_s,gone_ns",
            14,
        ),
        (
            "nodes.csv",
            "name,zone,cpu_milli,memory_bytes,pods_allocatable,pods_end,pods_max,created_s,created_ns,\
             ready_s,ready_ns,gone_s,gone_ns,not_ready_times,not_ready_s,not_ready_ns,not_ready_intervals_ns",
            6,
        ),
        (
            "services.csv",
            "namespace,name,first_ready_s,first_ready_ns,without_endpoints_s,without_endpoints_ns,\
             ready_min,ready_end,not_ready_end",
            1,
        ),
        ("series/nodes.csv", "time_s,time_ns,ready,not_ready", record.series.nodes.rows.len()),
        (
            "series/pods-by-phase.csv",
            "time_s,time_ns,running_ready,running_not_ready,pending_scheduled,pending_unscheduled,\
             terminating,failed,succeeded",
            record.series.pods_by_phase.rows.len(),
        ),
    ];
    for (name, head, rows) in heads {
        let table = text(&files, name);
        assert_eq!(table.lines().next(), Some(head), "{name}");
        assert_eq!(table.lines().count(), rows + 1, "{name}");
    }
    let lost = text(&files, "pods.csv").lines().nth(2).unwrap();
    assert!(
        lost.starts_with("default,web-7c9d5-k01,ReplicaSet/web-7c9d5,node-2,Running,NodeLost,0,0.519000000,519000000,"),
        "{lost}"
    );
    assert!(lost.ends_with(",407.000000000,407000000000,,"), "{lost}");
    let dead = text(&files, "nodes.csv").lines().nth(2).unwrap();
    assert!(dead.ends_with(",1,393.000000000,393000000000,107000000000.."), "{dead}");
}

#[test]
fn the_summary_has_the_documented_shape() {
    let files = written("summary", &sample::record());
    let summary: serde_json::Value = serde_json::from_str(text(&files, "summary.json")).unwrap();
    let keys: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = include_str!("../../docs/output.md");
    for key in &keys {
        assert!(documented.contains(&format!("| `{key}` |")), "docs/output.md does not tell of {key}");
    }
    assert_eq!(summary["schema"], "wavetank/run/v1");
    assert_eq!(summary["held"], false);
    assert_eq!(summary["seed"], 42);
    assert_eq!(summary["world"], "sim");
    assert_eq!(summary["expectations"][2]["kind"], "always");
    assert_eq!(summary["expectations"][2]["at_ns"], 107_000_000_000u64);
    assert_eq!(summary["scheduling_latency"]["finished"], 14);
    assert_eq!(summary["startup_latency"]["unfinished"], 0);
    assert_eq!(summary["plots"][0], "pods");
    for table in ["counts", "scheduling_latency"] {
        for key in summary[table].as_object().unwrap().keys() {
            assert!(documented.contains(&format!("`{key}`")), "docs/output.md does not tell of {table}.{key}");
        }
    }
}

#[test]
fn an_earlier_run_is_replaced_whole() {
    let scratch = Scratch::new("replaced");
    let dir = scratch.0.join("run");
    write_directory(&sample::record(), &dir, &[("notes/old.txt".into(), b"old".to_vec())]).unwrap();
    assert_eq!(fs::read(dir.join("notes/old.txt")).unwrap(), b"old");
    write_directory(&sample::empty(), &dir, &[]).unwrap();
    assert!(!dir.join("notes").exists());
    assert_eq!(scratch.names(), ["run"]);
}

#[test]
fn somebody_elses_directory_is_refused_and_left_alone() {
    let scratch = Scratch::new("occupied");
    let dir = scratch.0.join("thesis");
    fs::create_dir(&dir).unwrap();
    write_directory(&sample::empty(), &dir, &[]).expect("an empty directory is filled");
    fs::remove_dir_all(&dir).unwrap();
    for other in ["chapter-1.tex", "summary.json"] {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(other), "{\"schema\": \"somebody/else\"}").unwrap();
        let error = write_directory(&sample::record(), &dir, &[]).unwrap_err();
        assert!(matches!(error, Error::Occupied(_)), "{error}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert_eq!(scratch.names(), ["thesis"]);
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::write(&dir, "a file").unwrap();
    assert!(matches!(write_directory(&sample::record(), &dir, &[]), Err(Error::Occupied(_))));
    assert_eq!(fs::read(&dir).unwrap(), b"a file");
}

#[test]
fn a_place_where_nothing_can_be_made_is_refused_before_the_run_and_a_good_one_stays_untouched() {
    let scratch = Scratch::new("unwritable");
    let refused = wavetank_reports::refuse_directory(Path::new("/proc/run-1")).unwrap_err().to_string();
    assert!(refused.starts_with("cannot create /proc/run-1: "), "{refused}");
    wavetank_reports::refuse_directory(&scratch.0.join("out/deep/run-1")).unwrap();
    assert_eq!(scratch.names(), [""; 0], "nothing is left behind");
}

#[test]
fn what_a_killed_program_left_behind_is_cleared() {
    let scratch = Scratch::new("killed");
    let dir = scratch.0.join("run");
    // Killed while writing.
    fs::create_dir_all(scratch.0.join(".run.partial/plots")).unwrap();
    fs::write(scratch.0.join(".run.partial/plots/half.svg"), "<svg").unwrap();
    write_directory(&sample::empty(), &dir, &[]).unwrap();
    assert_eq!(scratch.names(), ["run"]);
    assert!(!dir.join("plots/half.svg").exists());
    // Killed between the two renames: the earlier run is only under its hidden name.
    fs::rename(&dir, scratch.0.join(".run.replaced")).unwrap();
    write_directory(&sample::record(), &dir, &[]).unwrap();
    assert_eq!(scratch.names(), ["run"]);
}

#[test]
fn two_programs_do_not_write_one_directory_at_once() {
    let scratch = Scratch::new("busy");
    let partial = scratch.0.join(".run.partial");
    fs::create_dir(&partial).unwrap();
    let other = fs::File::open(&partial).unwrap();
    other.lock().unwrap();
    let error = write_directory(&sample::record(), &scratch.0.join("run"), &[]).unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error}");
    assert!(partial.exists(), "the other program's files were removed");
}

#[test]
fn an_extra_file_can_neither_leave_the_directory_nor_replace_a_report() {
    let scratch = Scratch::new("extra");
    for name in ["../up.txt", "/absolute", "", "summary.json", "a/../b", "plots/pods.svg"] {
        let error = write_directory(&sample::record(), &scratch.0.join("run"), &[(name.into(), vec![])]).unwrap_err();
        assert!(matches!(error, Error::ExtraFile { .. }), "{name}: {error}");
    }
    assert_eq!(scratch.names(), [] as [&str; 0]);
}

#[test]
fn a_record_that_contradicts_itself_is_refused_before_anything_is_written() {
    let scratch = Scratch::new("malformed");
    let mut narrow = sample::record();
    narrow.series.nodes.rows[1].1.pop();
    let mut backwards = sample::record();
    backwards.series.nodes.rows.reverse();
    let mut renamed = sample::record();
    renamed.series.pods_by_phase.columns[0] = "happy".into();
    let mut twice = sample::record();
    twice.series.endpoints.push(twice.series.endpoints[0].clone());
    let mut old = sample::record();
    old.summary.schema = "wavetank/run/v0".into();
    for record in [narrow, backwards, renamed, twice, old] {
        let error = write_directory(&record, &scratch.0.join("run"), &[]).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{error}");
    }
    assert_eq!(scratch.names(), [] as [&str; 0]);
}

#[test]
fn an_empty_run_has_all_its_plots_and_they_say_so() {
    let files = written("empty", &sample::empty());
    assert_eq!(files.keys().filter(|name| name.ends_with(".svg")).count(), 5);
    for name in ["plots/pods.svg", "plots/nodes.svg", "plots/startup-latency.svg"] {
        assert!(text(&files, name).contains("no data"), "{name}");
    }
    assert!(text(&files, "report.html").contains("The scenario has no expectations."));
    assert_eq!(text(&files, "pods.csv").lines().count(), 1);
}

#[test]
fn single_points_zeros_huge_values_and_late_times_are_drawn() {
    let mut record = sample::empty();
    record.summary.duration_ns = 400 * 86_400 * SECOND;
    record.series.nodes = steps("nodes", "nodes", &["ready", "not_ready"], vec![(0, vec![0, 0])]);
    record.series.allocated_cpu = steps("cpu", "per mille", &["total"], vec![(u64::MAX, vec![1_000])]);
    record.series.other = vec![
        steps("huge", "bytes", &["a", "b"], vec![(1, vec![i64::MAX, i64::MIN]), (2, vec![i64::MIN, 0])]),
        steps("none", "things", &[], vec![(5, vec![])]),
    ];
    record.markers =
        (0..40).map(|index| Marker { from_ns: index, to_ns: Some(index * 2), label: "x".repeat(500) }).collect();
    let files = written("odd", &record);
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".svg")) {
        assert!(!std::str::from_utf8(bytes).unwrap().contains("NaN"), "{name}");
    }
}

#[test]
fn what_a_plot_leaves_out_it_says() {
    let mut record = sample::record();
    let zones: Vec<String> = (0..24).map(|zone| format!("zone-{zone}")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    record.series.allocated_cpu = steps("cpu", "per mille", &zones, vec![(0, vec![7; 24])]);
    record.series.endpoints =
        (0..6).map(|service| steps(&format!("a/{service}"), "endpoints", &["ready", "not_ready"], vec![])).collect();
    let marker =
        |index: u64| Marker { from_ns: index, to_ns: Some(index * 2), label: format!("fault {index} of many") };
    record.markers = (0..40).map(marker).collect();
    record.pods[3].ready_ns = None;
    let files = written("left-out", &record);
    assert!(text(&files, "plots/allocation.svg").contains("8 of 24 lines, all are in series/"));
    assert!(text(&files, "plots/endpoints.svg").contains("4 of 6 services"));
    assert!(text(&files, "plots/nodes.svg").contains("40 faults, 3 of them labelled"));
    assert!(text(&files, "plots/startup-latency.svg").contains("1 more never got there"));
}

#[test]
fn a_million_changes_make_a_small_picture() {
    let mut record = sample::empty();
    record.summary.duration_ns = 1_000_000 * SECOND;
    let rows =
        (0..1_000_000u64).map(|index| (index * SECOND, vec![(index % 977) as i64, (index % 31) as i64])).collect();
    record.series.nodes = StepSeries {
        name: "nodes".into(),
        unit: "nodes".into(),
        columns: vec!["ready".into(), "not_ready".into()],
        rows,
    };
    let files = written("million", &record);
    let size = files["plots/nodes.svg"].len();
    assert!(size < 250_000, "the SVG has {size} bytes");
    assert!(text(&files, "plots/nodes.svg").contains("(d)"));
    assert_eq!(text(&files, "series/nodes.csv").lines().count(), 1_000_001, "the table has every change");
}

#[test]
fn nothing_of_a_record_becomes_markup() {
    let evil = "<script>alert('x')</script>&\"\u{0}";
    let mut record = sample::record();
    record.summary.scenario = evil.into();
    record.summary.description = evil.into();
    record.summary.file = evil.into();
    record.summary.expectations[0].evidence = evil.into();
    record.facts[0].message = evil.into();
    record.pods[0].name = evil.into();
    record.nodes[0].zone = evil.into();
    record.markers[0].label = evil.into();
    record.series.other[0].name = evil.into();
    let files = written("evil", &record);
    let page = text(&files, "report.html");
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("<script>").count(), 1, "the page has its own script and no other");
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".svg")) {
        let document = std::str::from_utf8(bytes).unwrap();
        assert!(!document.contains("<script"), "{name}");
        assert_well_formed(name, document);
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_does_not_grow_with_the_run() {
    let mut record = sample::record();
    let fact = record.facts.last().unwrap().clone();
    record.facts.extend(std::iter::repeat_n(fact, 50_000));
    let pod = record.pods[0].clone();
    record.pods.extend((0..10_000).map(|index| PodRow { name: format!("filler-{index}").into(), ..pod.clone() }));
    let files = written("large", &record);
    let page = text(&files, "report.html");
    for outside in ["src=", "href=\"http", "url(", "@import", "<link"] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    assert!(page.contains("The first 2,000 of 10,014 rows"));
    assert!(page.len() < 2_000_000, "the page has {} bytes", page.len());
    assert!(page.contains("sim replay ."));
}

/// `UPDATE_EXPECTED=1 cargo test -p wavetank-reports` writes the expected text anew.
#[test]
fn the_terminal_account_reads_like_this() {
    let told = render_account(&sample::record(), 100, false);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/account.txt"), &told).unwrap();
        return;
    }
    assert_eq!(told, include_str!("account.txt"));
    let coloured = render_account(&sample::record(), 100, true);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    // Colour is the only difference, apart from the blanks before a colour's end.
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&(plain + rest)), trimmed(&told));
    assert!(told.lines().all(|line| line.chars().count() <= 100));
}
