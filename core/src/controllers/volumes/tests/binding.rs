//! Which claim and which volume come together, from every half-way state.

use super::*;
use crate::id::ProcId;
use crate::model::{
    BIND_COMPLETED, BOUND_BY_CONTROLLER, ClaimReference, PRE_RESIZE_CAPACITY, SELECTED_NODE, Selector, VolumeMode,
};
use crate::seam::Input;

/// A volume in words: `name:size`, then marks: `=c` is kept for the claim `c`, `=c!` for that very claim, `=c?` for
/// another of that name; `auto` if the binder said so; a phase; `/class`; `rwx`, `block`, `red` (a label), `vac`;
/// `grown` from 1Gi; `delete` when released, `nfs`, `csi`, `local` or a `~/path` of its node; `leaving` if it is being
/// deleted.
fn volume_of(words: &str, claim: Option<&PersistentVolumeClaim>) -> PersistentVolume {
    let (name, rest) = words.split_once(':').expect("a name and a size");
    let mut marks = rest.split(' ');
    let mut volume = volume(name, "", marks.next().unwrap());
    volume.status.phase = VolumePhase::Available;
    for mark in marks {
        match mark {
            "auto" => volume.meta.annotations = volume.meta.annotations.with(BOUND_BY_CONTROLLER, "yes"),
            "pending" => volume.status.phase = VolumePhase::Pending,
            "bound" => volume.status.phase = VolumePhase::Bound,
            "failed" => volume.status.phase = VolumePhase::Failed,
            "released" => volume.status.phase = VolumePhase::Released,
            "rwx" => volume.access_modes.push(AccessMode::ReadWriteMany),
            "block" => volume.mode = VolumeMode::Block,
            "red" => volume.meta.labels = Labels::new([("color", "red")]),
            "vac" => volume.attributes_class = Some("fast".into()),
            "grown" => volume.meta.annotations = volume.meta.annotations.with(PRE_RESIZE_CAPACITY, "1Gi"),
            "delete" => volume.reclaim_policy = ReclaimPolicy::Delete,
            "nfs" => volume.source = VolumeSource::Nfs { server: "files".into(), path: "/d".into() },
            "csi" => volume.source = VolumeSource::Csi { driver: DRIVER.into(), handle: "h".into(), read_only: false },
            "local" => volume.source = VolumeSource::Local("/mnt/d".into()),
            "leaving" => {}
            _ if mark.starts_with('~') => volume.source = VolumeSource::HostPath(mark[1..].into()),
            _ if mark.starts_with('/') => volume.storage_class = mark[1..].into(),
            _ => {
                let name = mark.strip_prefix('=').expect("one of the marks above");
                let uid = match name.chars().last() {
                    Some('!') => claim.map(|claim| claim.meta.uid),
                    Some('?') => Some(crate::id::Uid::new(99)),
                    _ => None,
                };
                let name = name.trim_end_matches(['!', '?']).into();
                volume.claim = Some(ClaimReference { namespace: "default".into(), name, uid });
            }
        }
    }
    volume
}

/// A claim in words: `name:size`, then marks: `>v` names the volume `v`; `auto` if the binder said so, `done` if the
/// binding was completed; a phase; `/class`; `rwx`, `block`, `vac`, `red` (a selector), `on` (a node was chosen).
fn claim_of(words: &str) -> PersistentVolumeClaim {
    let (name, rest) = words.split_once(':').expect("a name and a size");
    let mut marks = rest.split(' ');
    let mut claim = claim(name, "", marks.next().unwrap());
    for mark in marks {
        let mut note = |key: &'static str| claim.meta.annotations = claim.meta.annotations.with(key, "yes");
        match mark {
            "auto" => note(BOUND_BY_CONTROLLER),
            "done" => note(BIND_COMPLETED),
            "on" => note(SELECTED_NODE),
            "bound" => claim.status.phase = ClaimPhase::Bound,
            "rwx" => claim.spec.access_modes = vec![AccessMode::ReadWriteMany],
            "block" => claim.spec.mode = VolumeMode::Block,
            "vac" => claim.spec.attributes_class = Some("fast".into()),
            "red" => claim.spec.selector = Some(Selector::from_labels(Labels::new([("color", "red")]))),
            _ if mark.starts_with('/') => claim.spec.storage_class = Some(mark[1..].into()),
            _ => claim.spec.volume = mark.strip_prefix('>').expect("one of the marks above").into(),
        }
    }
    claim
}

/// What becomes of volumes and a claim when a binder starts: `v=c Bound auto; c>v Bound auto done`, and what it warns
/// of.
fn settled(volumes: &str, claim: &str) -> String {
    let mut bed = Testbed::new(Config::default());
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.create(class("wait", BindingMode::WaitForFirstConsumer));
    bed.create(class("gold", BindingMode::Immediate));
    let wanted = (!claim.is_empty()).then(|| claim_of(claim));
    let made = wanted.map(|wanted| {
        bed.create(wanted.clone());
        let mut made = PersistentVolumeClaim::clone(&stored(&bed, &wanted.meta.name));
        made.status = wanted.status;
        bed.request(Request::UpdateStatus {
            object: Object::PersistentVolumeClaim(Arc::new(made.clone())),
            expected: None,
        });
        made
    });
    let mut names = Vec::new();
    for words in volumes.split(", ").filter(|words| !words.is_empty()) {
        let wanted = volume_of(words, made.as_ref());
        names.push(wanted.meta.name.clone());
        bed.create(wanted.clone());
        let mut stored = PersistentVolume::clone(&bed.get::<PersistentVolume>("", &wanted.meta.name).unwrap());
        stored.status = wanted.status;
        bed.request(Request::UpdateStatus { object: Object::PersistentVolume(Arc::new(stored)), expected: None });
        if words.ends_with(" leaving") {
            let key = ObjectKey::new(Kind::PersistentVolume, "", &wanted.meta.name);
            bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        }
    }
    bed.run_for(Span::ZERO);
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(1));
    let noted = |meta: &Meta, key: &str, word: &str| {
        if meta.annotations.get(key).is_some() { format!(" {word}") } else { String::new() }
    };
    let mut parts: Vec<String> = names
        .iter()
        .map(|name| {
            let Some(volume) = bed.get::<PersistentVolume>("", name) else { return format!("{name} gone") };
            let of = volume.claim.as_ref().map_or(String::new(), |claim| {
                let mark = match (claim.uid, &made) {
                    (None, _) => "",
                    (Some(uid), Some(made)) if uid == made.meta.uid => "!",
                    _ => "?",
                };
                format!("={}{mark}", claim.name)
            });
            format!("{name}{of} {:?}{}", volume.status.phase, noted(&volume.meta, BOUND_BY_CONTROLLER, "auto"))
        })
        .collect();
    if let Some(made) = made {
        let claim = stored(&bed, &made.meta.name);
        let of = if claim.spec.volume.is_empty() { String::new() } else { format!(">{}", claim.spec.volume) };
        let notes = [noted(&claim.meta, BOUND_BY_CONTROLLER, "auto"), noted(&claim.meta, BIND_COMPLETED, "done")];
        parts.push(format!("c{of} {:?}{}", claim.status.phase, notes.concat()));
        let warned = bed.events(Kind::PersistentVolumeClaim, "c");
        let reasons = warned.iter().filter_map(|line| line.split(' ').nth(2).map(str::to_owned));
        parts.extend(reasons.take(1));
    }
    parts.join("; ")
}

fn check(rows: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (volumes, claim, expected) in rows {
        let found = settled(volumes, claim);
        if found != *expected {
            wrong.push(format!("{volumes} | {claim}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_claim_that_names_no_volume_takes_the_smallest_that_suits() {
    check(&[
        ("v:1Gi", "c:1Gi", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi", "c:10Gi", "v Available; c Pending; FailedBinding"),
        ("", "c:10Gi bound", "c Pending; FailedBinding"),
        ("a:10Gi, b:1Gi", "c:1Gi", "a Available; b=c! Bound auto; c>b Bound auto done"),
        ("a:10Gi =c, b:1Gi", "c:1Gi", "a=c! Bound; b Available; c>a Bound auto done"),
        ("a:10Gi =c!, b:1Gi", "c:1Gi", "a=c! Bound; b Available; c>a Bound auto done"),
        ("v:10Gi =c? auto bound", "c:1Gi", "v=c? Released auto; c Pending; FailedBinding"),
        ("v:1Gi =c! auto", "c:1Gi", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi =c! auto bound", "c:1Gi", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi =c! auto bound", "c:1Gi >v auto done", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi red", "c:1Gi red", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi", "c:1Gi red", "v Available; c Pending; FailedBinding"),
        (
            "a:1Gi failed =x?, b:1Gi released =y?, v:1Gi",
            "c:1Gi",
            "a=x? Failed; b=y? Released; v=c! Bound auto; c>v Bound auto done",
        ),
        ("v:1Gi", "c:1Gi rwx", "v Available; c Pending; FailedBinding"),
        ("a:1Gi rwx, v:5Gi", "c:1Gi", "a Available; v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi vac", "c:1Gi", "v Available; c Pending; FailedBinding"),
        ("v:1Gi vac", "c:1Gi vac", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi", "c:1Gi vac", "v Available; c Pending; FailedBinding"),
        // Volumes that are being deleted.
        ("v:1Gi leaving", "c:1Gi", "v gone; c Pending; FailedBinding"),
        ("a:1Gi leaving, b:5Gi", "c:1Gi", "a gone; b=c! Bound auto; c>b Bound auto done"),
        // Size and labels together.
        ("a:1Gi red, b:10Gi red, v:3Gi", "c:2Gi red", "a Available; b=c! Bound auto; v Available; c>b Bound auto done"),
        ("a:1Gi red, v:10Gi", "c:5Gi red", "a Available; v Available; c Pending; FailedBinding"),
        ("a:10Gi red, b:5Gi red", "c:5Gi red", "a Available; b=c! Bound auto; c>b Bound auto done"),
        ("a:500Gi /gold, b:2Ti /gold red", "c:400Gi /gold red", "a Available; b=c! Bound auto; c>b Bound auto done"),
        // Very large ones.
        ("a:900Ti, b:1000Ti", "c:950Ti", "a Available; b=c! Bound auto; c>b Bound auto done"),
        ("a:800Pi", "c:800Pi", "a=c! Bound auto; c>a Bound auto done"),
        ("a:800Pi", "c:801Pi", "a Available; c Pending; FailedBinding"),
    ]);
}

#[test]
fn classes_keep_claims_and_volumes_apart() {
    check(&[
        ("a:1Gi /gold, b:10Gi", "c:1Gi", "a Available; b=c! Bound auto; c>b Bound auto done"),
        ("a:1Gi /silver, b:10Gi /gold", "c:1Gi /gold", "a Available; b=c! Bound auto; c>b Bound auto done"),
        ("v:1Gi /wait", "c:1Gi /wait", "v Available; c Pending; WaitForFirstConsumer"),
        ("v:1Gi /wait =c", "c:1Gi /wait", "v=c! Bound; c>v Bound auto done"),
        ("v:1Gi /wait", "c:1Gi /wait >v", "v=c! Bound auto; c>v Bound done"),
        ("v:1Gi /wait =c!", "c:1Gi /wait >v", "v=c! Bound; c>v Bound done"),
        ("", "c:1Gi /wait bound", "c Pending; WaitForFirstConsumer"),
        ("v:1Gi /wait =c!", "c:1Gi /wait on", "v=c! Bound; c>v Bound auto done"),
        ("v:1Gi", "c:1Gi /gold", "v Available; c Pending; ExternalProvisioning"),
        ("v:1Gi", "c:1Gi /none", "v Available; c Pending; ProvisioningFailed"),
    ]);
}

#[test]
fn a_claim_that_names_its_volume_gets_that_one_or_none() {
    check(&[
        ("a:10Gi, b:1Gi", "c:1Gi >a", "a=c! Bound auto; b Available; c>a Bound done"),
        ("v:1Gi", "c:1Gi rwx >v", "v Available; c>v Pending; VolumeMismatch"),
        ("", "c:10Gi >v", "c>v Pending"),
        ("", "c:10Gi >v bound", "c>v Pending"),
        ("v:1Gi =c", "c:1Gi >v", "v=c! Bound; c>v Bound done"),
        ("v:1Gi =c!", "c:1Gi >v", "v=c! Bound; c>v Bound done"),
        ("v:1Gi =x? bound", "c:1Gi >v bound", "v=x? Released; c>v Pending; FailedBinding"),
        ("v:1Gi =x? bound", "c:1Gi >v auto", "v=x? Released; c>v Pending auto; FailedBinding"),
        ("v:1Gi", "c:1Gi >v red", "v=c! Bound auto; c>v Bound done"),
        ("v:1Gi", "c:2Gi >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi /gold", "c:1Gi >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi vac", "c:1Gi >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi vac", "c:1Gi >v vac", "v=c! Bound auto; c>v Bound done"),
    ]);
}

#[test]
fn a_claim_that_was_bound_keeps_its_volume_or_is_lost() {
    check(&[
        ("", "c:10Gi bound done", "c Lost done; ClaimLost"),
        ("", "c:10Gi >v bound auto done", "c>v Lost auto done; ClaimLost"),
        ("v:10Gi", "c:10Gi >v auto done", "v=c! Bound auto; c>v Bound auto done"),
        ("v:10Gi =c? released", "c:10Gi >v auto done", "v=c? Released; c>v Lost auto done; ClaimMisbound"),
        ("v:10Gi =c!", "c:10Gi >v done", "v=c! Bound; c>v Bound done"),
        ("v:10Gi =x? released", "c:10Gi >v bound done", "v=x? Released; c>v Lost done; ClaimMisbound"),
        ("v:10Gi", "c:10Gi >v red auto done", "v=c! Bound auto; c>v Bound auto done"),
    ]);
}

#[test]
fn a_volume_follows_the_claim_that_it_is_for() {
    check(&[
        ("v:10Gi pending", "", "v Available"),
        ("v:10Gi =c pending", "", "v=c Available"),
        ("v:10Gi =c? bound", "", "v=c? Released"),
        ("v:10Gi =c!", "c:10Gi >v bound done", "v=c! Bound; c>v Bound done"),
        ("v:10Gi =c! delete", "c:10Gi >v bound done", "v=c! Bound; c>v Bound done"),
        ("v:10Gi =c! auto", "c:10Gi", "v=c! Bound auto; c>v Bound auto done"),
        ("v:10Gi =c! bound auto, w:10Gi =c!", "c:10Gi >w bound done", "v Available; w=c! Bound; c>w Bound done"),
        ("v:10Gi =c! bound, w:10Gi =c!", "c:10Gi >w bound done", "v=c Available; w=c! Bound; c>w Bound done"),
    ]);
}

#[test]
fn a_volume_of_a_missing_claim_is_deleted_by_whoever_can() {
    check(&[
        ("v:10Gi =c? delete", "", "v gone"),
        ("v:10Gi =c? delete ~/mnt/tmp/x", "", "v gone"),
        ("v:10Gi =c? delete ~/tmp/", "", "v=c? Failed"),
        ("v:10Gi =c? delete ~/data", "", "v=c? Failed"),
        ("v:10Gi =c? delete nfs", "", "v=c? Failed"),
        ("v:10Gi =c? delete local", "", "v=c? Failed"),
        ("v:10Gi =c? delete csi", "", "v=c? Released"),
        ("v:10Gi =c? nfs", "", "v=c? Released"),
    ]);
    let told = |words: &str| {
        let mut bed = Testbed::new(Config::default());
        bed.create(volume_of(words, None));
        bed.run_for(Span::from_secs(5));
        bed.get::<PersistentVolume>("", "v").expect("it cannot be deleted").status.message.to_string()
    };
    let no_deleter = "error getting deleter volume plugin for volume \"v\": no";
    assert_eq!(told("v:1Gi =c? delete local"), format!("{no_deleter} volume plugin matched"));
    assert_eq!(told("v:1Gi =c? delete nfs"), format!("{no_deleter} deletable volume plugin matched"));
    let wrong_place = "host_path deleter only supports /tmp/.+ but received provided /data";
    assert_eq!(told("v:1Gi =c? delete ~/data"), wrong_place);
}

#[test]
fn a_claim_of_a_volume_that_has_yet_to_grow_gets_what_there_is() {
    let mut bed = Testbed::new(Config::default());
    bed.create(volume_of("v:2Gi grown", None));
    bed.create(claim_of("c:2Gi"));
    bed.run_for(Span::from_secs(1));
    let claim = stored(&bed, "c");
    assert_eq!((&*claim.spec.volume, claim.status.phase), ("v", ClaimPhase::Bound));
    assert_eq!(claim.status.capacity, Some("1Gi".parse().expect("a quantity")));
}

#[test]
fn block_volumes_and_file_systems_do_not_mix() {
    check(&[
        ("v:1Gi block", "c:1Gi block", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi", "c:1Gi", "v=c! Bound auto; c>v Bound auto done"),
        ("v:1Gi", "c:1Gi block", "v Available; c Pending; FailedBinding"),
        ("v:1Gi block", "c:1Gi", "v Available; c Pending; FailedBinding"),
        ("v:1Gi block =c", "c:1Gi block", "v=c! Bound; c>v Bound auto done"),
        ("v:1Gi block", "c:1Gi >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi", "c:1Gi block >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi block", "c:1Gi block >v", "v=c! Bound auto; c>v Bound done"),
        ("v:1Gi block =c!", "c:1Gi", "v=c! Available; c Pending; VolumeMismatch"),
        ("v:1Gi =c!", "c:1Gi block", "v=c! Available; c Pending; VolumeMismatch"),
        // Modes and classes must both agree.
        ("v:1Gi /gold block", "c:1Gi /gold", "v Available; c Pending; ExternalProvisioning"),
        ("v:1Gi /gold", "c:1Gi /gold block", "v Available; c Pending; ExternalProvisioning"),
        ("v:1Gi /gold block", "c:1Gi block", "v Available; c Pending; FailedBinding"),
        ("v:1Gi /gold block", "c:1Gi block >v", "v Available; c>v Pending; VolumeMismatch"),
        ("v:1Gi /gold block", "c:1Gi /gold block >v", "v=c! Bound auto; c>v Bound done"),
    ]);
}

#[test]
fn a_default_class_that_comes_later_is_given_to_claims_that_wait_without_one() {
    // What a claim has before, how many default classes come a minute later, and the class that it has then.
    for (before, defaults, expected) in [
        ("nothing", 0, None),
        ("nothing", 1, Some("default-0")),
        ("nothing", 2, Some("default-1")),
        ("a volume", 1, None),
        ("a class", 1, Some("gold")),
        ("no class by its own wish", 1, Some("")),
        ("a class in an old annotation", 1, None),
        ("a class in either place", 1, Some("silver")),
    ] {
        let mut bed = Testbed::new(Config::default());
        bed.create(class("gold", BindingMode::WaitForFirstConsumer));
        let mut claim = claim("c", "", "1Gi");
        claim.spec.storage_class = match before {
            "a class" => Some("gold".into()),
            "no class by its own wish" => Some("".into()),
            "a class in an old annotation" | "a class in either place" => {
                let key = "volume.beta.kubernetes.io/storage-class";
                claim.meta.annotations = claim.meta.annotations.with(key, "gold");
                (before == "a class in either place").then(|| "silver".into())
            }
            _ => None,
        };
        if before == "a volume" {
            bed.create(volume("v", "", "1Gi"));
        }
        bed.create(claim);
        bed.run_for(Span::from_secs(60));
        assert_eq!(stored(&bed, "c").status.phase == ClaimPhase::Bound, before == "a volume", "{before}");
        for place in 0..defaults {
            let mut late = class(&format!("default-{place}"), BindingMode::WaitForFirstConsumer);
            late.meta.annotations = Labels::new([("storageclass.kubernetes.io/is-default-class", "true")]);
            bed.create(late);
            bed.run_for(Span::from_secs(1));
        }
        bed.run_for(Span::from_secs(60));
        let class = stored(&bed, "c").spec.storage_class.clone();
        assert_eq!(class.as_deref(), expected, "{before}, {defaults} default classes: {:?}", bed.told());
    }
}

#[test]
fn who_is_to_make_a_volume_is_noted_on_its_claim_or_it_is_said_why_nobody_does() {
    let waits = BindingMode::WaitForFirstConsumer;
    let asked = "Normal ExternalProvisioning";
    let failed = "Warning ProvisioningFailed";
    // The class's provisioner and binding, the claim's class (`-` is none at all) and marks, whether there is a volume
    // of the class; who is noted, whether the claim is bound, and what is said.
    for (provisioner, mode, class_of_claim, marks, available, noted, bound, said) in [
        ("disks.example.com", BindingMode::Immediate, "x", "", false, "disks.example.com", false, asked),
        ("disks.example.com", BindingMode::Immediate, "x", "", true, "", true, ""),
        ("kubernetes.io/gce-pd", BindingMode::Immediate, "x", "", false, "pd.csi.storage.gke.io", false, asked),
        ("kubernetes.io/unknown", BindingMode::Immediate, "x", "", false, "", false, failed),
        ("disks.example.com", BindingMode::Immediate, "other", "", false, "", false, failed),
        ("disks.example.com", BindingMode::Immediate, "", "", false, "", false, "Normal FailedBinding"),
        ("disks.example.com", BindingMode::Immediate, "-", "", false, "", false, "Normal FailedBinding"),
        ("disks.example.com", waits, "x", "", false, "", false, "Normal WaitForFirstConsumer"),
        ("disks.example.com", waits, "x", " on", false, "disks.example.com", false, asked),
        ("disks.example.com", waits, "x", " on", true, "disks.example.com", false, asked),
    ] {
        let row = format!("{provisioner} {mode:?} {class_of_claim:?}{marks} {available}");
        let mut bed = Testbed::new(Config::default());
        bed.create(StorageClass { provisioner: provisioner.into(), ..class("x", mode) });
        if available {
            bed.create(volume("v", "x", "1Gi"));
        }
        let mut wanted = claim_of(&format!("c:1Gi{marks}"));
        wanted.spec.storage_class = (class_of_claim != "-").then(|| class_of_claim.into());
        bed.create(wanted);
        bed.run_for(Span::from_secs(1));
        let claim = stored(&bed, "c");
        let notes = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
        for note in notes {
            let found = claim.meta.annotations.get(note).map(ToString::to_string).unwrap_or_default();
            assert_eq!(found, noted, "{row}: {note}");
        }
        assert_eq!(claim.status.phase == ClaimPhase::Bound, bound, "{row}");
        let events = bed.events(Kind::PersistentVolumeClaim, "c");
        let words: Vec<String> =
            events.iter().map(|line| line.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(words, if said.is_empty() { Vec::new() } else { vec![said.to_owned()] }, "{row}: {events:?}");
        if noted.is_empty() || available {
            continue;
        }
        // Whoever it was makes the volume, for this claim and no other.
        let claim_ref = ClaimReference { namespace: "default".into(), name: "c".into(), uid: Some(claim.meta.uid) };
        bed.create(PersistentVolume { claim: Some(claim_ref), ..volume("made", "x", "1Gi") });
        bed.run_for(Span::from_secs(1));
        let claim = stored(&bed, "c");
        assert_eq!((&*claim.spec.volume, claim.status.phase), ("made", ClaimPhase::Bound), "{row}");
    }
}

#[test]
fn which_of_several_equal_volumes_a_claim_takes_is_chance() {
    let taken = |seed: u64| {
        let mut bed = Testbed::new(Config { seed, ..Config::default() });
        for name in ["a", "b", "c", "d"] {
            bed.create(volume(name, "x", "1Gi"));
        }
        bed.run_for(Span::from_secs(1));
        bed.create(claim("c", "x", "1Gi"));
        bed.run_for(Span::from_secs(1));
        stored(&bed, "c").spec.volume.to_string()
    };
    let found: std::collections::BTreeSet<String> = (1..=40).map(taken).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(taken(7), taken(7));
}

#[test]
fn a_volume_whose_claim_was_taken_off_by_hand_is_bound_again_when_all_claims_are_looked_at() {
    let mut bed = Testbed::new(Config::default());
    bed.create(volume("v", "x", "1Gi"));
    bed.create(claim("c", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    let holder = |bed: &Testbed| {
        let volume = bed.get::<PersistentVolume>("", "v").expect("it is there");
        (volume.claim.as_ref().map(|claim| claim.name.to_string()), volume.status.phase)
    };
    assert_eq!(holder(&bed), (Some("c".to_owned()), VolumePhase::Bound));
    let freed = PersistentVolume { claim: None, ..PersistentVolume::clone(&bed.get("", "v").expect("it is there")) };
    bed.request(Request::Update { object: Object::PersistentVolume(Arc::new(freed)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert_eq!(holder(&bed), (None, VolumePhase::Available));
    bed.run_for(Span::from_secs(15));
    assert_eq!(holder(&bed), (Some("c".to_owned()), VolumePhase::Bound));
}
