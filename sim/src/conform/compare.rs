//! Two sides of each track: what recordings of one scenario show, and what plays of ours show.
//!
//! A track agrees if one play has the values of one recording, in their order, at their times within the tolerance.
//! Where the recordings themselves differ, what they leave open is open to ours too: a track then also agrees if a
//! play has the values at the beginning and at the end that all recordings have in common, and between them only what
//! some recording has, other numbers in it aside, in up to half as many entries more or fewer. A track that no
//! recording has must be absent from some play.
//!
//! What a controller asks for at once reaches the store in any order: entries that a recording has within
//! [`AT_ONCE_MS`] of each other may change places in orders of creation and deletion and in what is said.
//!
//! Several plays with other seeds stand for what a cluster leaves to chance and a single recording cannot show as open
//! (which of two like pods goes first, in which order two controllers see one change). Where they differ among
//! themselves, a long sequence need not be that of one play: a recording agrees that begins as all plays do and ends as
//! most of them, about when one of them does, and between has only values that some play has, in up to half as many
//! entries more or fewer. Where so much was said that the rest was left out, the last is chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::conform::story::{Entry, Story};
use crate::conform::unfit;

/// Entries of a recording that are so near each other, in milliseconds, may have come in any order.
const AT_ONCE_MS: i64 = 250;

/// So often something is said about an object at once; what is said next is left out for five minutes.
///
/// Source: `defaultSpamBurst`, staging/src/k8s.io/client-go/tools/record/events_cache.go (v1.34.1).
const SAID_AT_MOST: usize = 25;

/// So much later, in milliseconds, the node lifecycle has looked at a machine that has joined.
const REGISTERED_MS: i64 = 5_000;

/// How far apart times may be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Everywhere, in milliseconds.
    pub base_ms: i64,
    /// Added once a machine has died: leases are renewed every 10 s and nodes looked at every 5 s, each with a phase
    /// of its own.
    pub after_death_ms: i64,
    /// Added for what is said: components write their events one after the other and behind everything else.
    pub said_ms: i64,
    /// When the first machine dies, on the recording's clock.
    pub death_ms: Option<i64>,
    /// From when to when the recording shows its scenario: what was said before may have been said before the recorder
    /// listened, and what was said so late that the tolerance puts it behind the end may not have been written.
    pub shown_ms: (i64, i64),
}

impl Tolerance {
    fn allows(&self, recorded_ms: i64, ours_ms: i64) -> bool {
        (recorded_ms - ours_ms).abs() <= self.at(recorded_ms.max(ours_ms))
    }

    /// How much is allowed at a time.
    fn at(&self, at_ms: i64) -> i64 {
        let after_death = self.death_ms.is_some_and(|death| at_ms >= death);
        self.base_ms + if after_death { self.after_death_ms } else { 0 }
    }

    /// What is left of what was said in a play when the recording shows less of the scene before the scenario, and
    /// less of what the tolerance puts behind its end; from most to least.
    fn cuts<'a>(&self, recorded: &[Entry], ours: &'a [Entry]) -> impl Iterator<Item = &'a [Entry]> {
        let (from_ms, to_ms) = self.shown_ms;
        let has_scene = recorded.first().is_some_and(|entry| entry.at_ms < from_ms);
        let scene = ours.iter().take_while(|entry| !has_scene && entry.at_ms < from_ms).count();
        let tolerance = *self;
        let surely = ours.iter().rposition(|entry| entry.at_ms + tolerance.at(entry.at_ms) < to_ms);
        let least = surely.map_or(scene, |place| (place + 1).max(scene));
        (least..=ours.len()).rev().map(move |end| &ours[scene..end])
    }

    fn of_track(self, track: &str) -> Tolerance {
        let said = track.contains(" said ");
        // Machines that were there long before join shortly before the first step in ours.
        let scene_ms = if track.starts_with("Node/") { REGISTERED_MS } else { 0 };
        let shown_ms = (self.shown_ms.0 + scene_ms, self.shown_ms.1);
        Tolerance { base_ms: self.base_ms + if said { self.said_ms } else { 0 }, shown_ms, ..self }
    }
}

/// Where the two sides part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When, on the recording's clock: the first entry that differs.
    pub at_ms: i64,
    /// The track.
    pub track: String,
    /// What the first recording shows.
    pub recorded: String,
    /// What the play that comes nearest shows.
    pub ours: String,
}

/// All tracks in which no play agrees with the recordings, earliest first.
pub fn differences(recorded: &[Story], played: &[Story], tolerance: Tolerance) -> Vec<Difference> {
    let tracks: BTreeSet<&String> = recorded.iter().chain(played).flat_map(BTreeMap::keys).collect();
    let mut found: Vec<Difference> = Vec::new();
    for track in tracks {
        let tolerance = tolerance.of_track(track);
        let of = |stories: &[Story]| -> Vec<Vec<Entry>> {
            stories.iter().map(|story| story.get(track).cloned().unwrap_or_default()).collect()
        };
        let (theirs, ours) = (of(recorded), of(played));
        if agree(track, &theirs, &ours, tolerance) {
            continue;
        }
        let (place, nearest) = nearest(&theirs[0], &ours, tolerance);
        let at_ms = theirs[0].get(place).or(nearest.get(place)).or(theirs[0].last()).map_or(0, |entry| entry.at_ms);
        found.push(Difference {
            at_ms,
            track: track.clone(),
            recorded: shown(&theirs[0], place),
            ours: shown(nearest, place),
        });
    }
    found.sort_by(|one, other| (one.at_ms, &one.track).cmp(&(other.at_ms, &other.track)));
    found
}

/// In how many plays each track agrees, the fewest first. A play is told by one or more stories.
pub fn agreements(recorded: &[Story], plays: &[Vec<Story>], tolerance: Tolerance) -> Vec<(usize, String)> {
    let tracks: BTreeSet<&String> = recorded.iter().chain(plays.iter().flatten()).flat_map(BTreeMap::keys).collect();
    let of = |stories: &[Story], track: &String| -> Vec<Vec<Entry>> {
        stories.iter().map(|story| story.get(track).cloned().unwrap_or_default()).collect()
    };
    let counted = tracks.into_iter().map(|track| {
        let theirs = of(recorded, track);
        let agrees = |play: &&Vec<Story>| agree(track, &theirs, &of(play, track), tolerance.of_track(track));
        (plays.iter().filter(agrees).count(), track.clone())
    });
    let mut counted: Vec<(usize, String)> = counted.collect();
    counted.sort();
    counted
}

/// Whether ours are the recorded entries, with none before another that the recording has well before it.
fn is_in_open_order(recorded: &[Entry], ours: &[Entry], tolerance: Tolerance) -> bool {
    if recorded.len() != ours.len() {
        return false;
    }
    let mut free: Vec<bool> = vec![true; ours.len()];
    let mut places = Vec::with_capacity(ours.len());
    for entry in recorded {
        let fits = |place: &usize| free[*place] && ours[*place].value == entry.value;
        let Some(place) = (0..ours.len()).find(fits) else { return false };
        free[place] = false;
        places.push(place);
    }
    let timely = recorded.iter().zip(&places).all(|(entry, place)| tolerance.allows(entry.at_ms, ours[*place].at_ms));
    let pairs = (0..places.len()).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    let swapped = |(earlier, later): &(usize, usize)| places[*earlier] > places[*later];
    let near = |(earlier, later): (usize, usize)| recorded[later].at_ms - recorded[earlier].at_ms <= AT_ONCE_MS;
    timely && pairs.filter(swapped).all(near)
}

/// Whether both say the same again and again, from the same time on, and ours at most a quarter as often more or less:
/// how many tries there are depends on how a growing back-off meets other changes.
fn are_retries(recorded: &[Entry], ours: &[Entry], tolerance: Tolerance) -> bool {
    let (Some(first), Some(our_first)) = (recorded.first(), ours.first()) else { return false };
    let said = |entries: &[Entry]| {
        let mut messages: Vec<String> = entries.iter().map(|entry| without_count(&entry.value).to_owned()).collect();
        messages.dedup();
        messages
    };
    recorded.len().abs_diff(ours.len()) <= recorded.len() / 4
        && tolerance.allows(first.at_ms, our_first.at_ms)
        && said(recorded) == said(ours)
}

/// What is said without how often, and what is said again at once left out: a controller looks once or twice at changes
/// that come together, as its worker meets them, and says the same each time.
fn said_once(said: &[Entry]) -> Vec<Entry> {
    let mut once: Vec<Entry> = Vec::with_capacity(said.len());
    for (place, entry) in said.iter().enumerate() {
        let message = without_count(&entry.value);
        let is_again = |before: &Entry| {
            let counted = message != entry.value && entry.at_ms - before.at_ms <= AT_ONCE_MS;
            counted && message == without_count(&before.value)
        };
        if place == 0 || !is_again(&said[place - 1]) {
            once.push(Entry { value: message.to_owned(), ..*entry });
        }
    }
    once
}

/// A message without how often it was said: `x12` at its end.
fn without_count(message: &str) -> &str {
    let count = message.rsplit_once(" x").filter(|(_, count)| count.bytes().all(|letter| letter.is_ascii_digit()));
    count.map_or(message, |(message, _)| message)
}

/// A message without how often it, or one like it, was said.
fn words(message: &str) -> &str {
    without_count(message.strip_prefix("(combined from similar events): ").unwrap_or(message))
}

fn agree(track: &str, theirs: &[Vec<Entry>], ours: &[Vec<Entry>], tolerance: Tolerance) -> bool {
    // Entries that are near each other may change places, and warnings come as often as something is tried.
    let (open_order, warns) =
        (track.contains(" said ") || track.contains(": order of "), track.contains(" said Warning "));
    let equal = |one: &[Entry], other: &[Entry]| {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(a, b)| unfit::agree(&a.value, &b.value) && tolerance.allows(a.at_ms, b.at_ms))
    };
    let some = |fits: &dyn Fn(&[Entry], &[Entry]) -> bool| {
        theirs.iter().any(|recorded| ours.iter().any(|played| fits(recorded, played)))
    };
    if some(&equal) {
        return true;
    }
    let told = |recorded: &[Entry], played: &[Entry]| {
        tolerance.cuts(recorded, played).any(|cut| equal(recorded, cut) || is_in_open_order(recorded, cut, tolerance))
    };
    if track.contains(" said ") && some(&told) {
        return true;
    }
    let in_strides = |recorded: &[Entry], played: &[Entry]| equal(&strides(recorded), &strides(played));
    if track.ends_with(" spec.replicas") && some(&in_strides) {
        return true;
    }
    // So many sizes, so many generations.
    let in_as_many = |recorded: &[Entry], played: &[Entry]| {
        let (recorded, played) = (strides(recorded), strides(played));
        let timely = |(a, b): (&Entry, &Entry)| tolerance.allows(a.at_ms, b.at_ms);
        recorded.len() == played.len() && recorded.iter().zip(&played).all(timely)
    };
    if track.starts_with("ReplicaSet/") && track.ends_with(" generation") && some(&in_as_many) {
        return true;
    }
    if open_order && some(&|recorded, played| is_in_open_order(recorded, played, tolerance)) {
        return true;
    }
    let once = |recorded: &[Entry], played: &[Entry]| {
        let (recorded, played) = (said_once(recorded), said_once(played));
        equal(&recorded, &played) || warns && are_retries(&recorded, &played, tolerance)
    };
    if warns && some(&|recorded, played| are_retries(recorded, played, tolerance))
        || track.contains(" said ") && some(&once)
    {
        return true;
    }
    let is_part = |recorded: &[Entry], played: &[Entry]| {
        unfit::may_be_repeated(recorded, played) && unfit::is_part(recorded, played)
    };
    if some(&is_part) {
        return true;
    }
    let values = |entries: &[Entry]| entries.iter().map(|entry| entry.value.clone()).collect::<Vec<_>>();
    let all: Vec<Vec<String>> = theirs.iter().map(|entries| values(entries)).collect();
    let differ = |all: &[Vec<String>]| all.iter().any(|other| *other != all[0]);
    let known: BTreeSet<String> = all.iter().flatten().map(|value| shape(value)).collect();
    let fits = |played: &[Entry]| {
        let played = values(played);
        played.iter().all(|value| known.contains(&shape(value))) && fits_what_is_open(&all, &played)
    };
    if differ(&all) && ours.iter().any(|played| fits(played)) {
        return true;
    }
    is_between_plays(track, theirs, ours, tolerance)
}

/// Whether a recording lies between plays that differ among themselves.
fn is_between_plays(track: &str, theirs: &[Vec<Entry>], ours: &[Vec<Entry>], tolerance: Tolerance) -> bool {
    // How many steps there are, and from where to where each goes, is what the sizes of ReplicaSets tell.
    let numbers_count = !track.contains(" said ") && !track.ends_with(" generation");
    let value = |entry: &Entry| if numbers_count { entry.value.clone() } else { shape(&entry.value) };
    let values = |entries: &[Entry]| -> Vec<String> {
        match track.ends_with(" spec.replicas") {
            true => strides(entries).iter().map(value).collect(),
            false => entries.iter().map(value).collect(),
        }
    };
    // A play that is slow, or was cut off at the recording's end, has not come to where most of them end. What is said
    // last is chance.
    let end = |entries: &Vec<Entry>| entries.last().map(value);
    let usual_end = ours.iter().map(end).max_by_key(|one| ours.iter().filter(|other| end(other) == *one).count());
    let ours: Vec<&Vec<Entry>> =
        ours.iter().filter(|entries| !numbers_count || Some(end(entries)) == usual_end).collect();
    let plays: Vec<Vec<String>> = ours.iter().map(|entries| values(entries)).collect();
    let known: BTreeSet<String> = ours.iter().flat_map(|entries| entries.iter()).map(value).collect();
    let fits = |recorded: &[Entry]| {
        let recorded = values(recorded);
        recorded.iter().all(|value| known.contains(value)) && fits_what_is_open(&plays, &recorded)
    };
    let same = |a: &Entry, b: &Entry| value(a) == value(b) && tolerance.allows(a.at_ms, b.at_ms);
    // What is the last that the filter against too many lets through depends on how many came before, and so does
    // whether it is said in these words for the first time.
    let is_cut = |entries: &[Entry]| track.contains(" said ") && entries.len() >= SAID_AT_MOST;
    let is_said = |last: &str| ours.iter().any(|play| play.iter().any(|entry| words(&entry.value) == words(last)));
    let near = |a: Option<&Entry>, b: Option<&Entry>| a.zip(b).is_some_and(|(a, b)| same(a, b));
    let ends_alike = |recorded: &[Entry], played: &[Entry]| match (recorded.last(), played.last()) {
        (Some(a), Some(b)) if is_cut(recorded) && is_cut(played) => {
            tolerance.allows(a.at_ms, b.at_ms) && is_said(&a.value)
        }
        (a, b) => near(a, b),
    };
    let timely = |recorded: &[Entry]| {
        ours.iter().any(|played| near(recorded.first(), played.first()) && ends_alike(recorded, played))
    };
    plays.iter().any(|play| *play != plays[0]) && theirs.iter().any(|it| timely(it) && fits(it))
}

/// A size that goes on changing within [`AT_ONCE_MS`] has gone to where it ends by then: in how many steps depends on
/// which of several pods' news reached the controller together.
fn strides(sizes: &[Entry]) -> Vec<Entry> {
    let mut strides: Vec<Entry> = Vec::with_capacity(sizes.len());
    for (place, size) in sizes.iter().enumerate() {
        let goes_on = place > 0 && size.at_ms - sizes[place - 1].at_ms <= AT_ONCE_MS;
        match strides.last_mut() {
            Some(last) if goes_on => *last = size.clone(),
            _ => strides.push(size.clone()),
        }
    }
    strides
}

/// Whether a sequence has the beginning and the end that all others have in common, and about as many entries.
fn fits_what_is_open(all: &[Vec<String>], ours: &[String]) -> bool {
    let shortest = all.iter().map(Vec::len).min().unwrap_or(0);
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    let same_from_start = (0..shortest).take_while(|place| all.iter().all(|it| it[*place] == all[0][*place])).count();
    let from_end = |it: &[String], place: usize| it[it.len() - 1 - place].clone();
    let same_to_end = (0..shortest - same_from_start)
        .take_while(|place| all.iter().all(|it| from_end(it, *place) == from_end(&all[0], *place)))
        .count();
    // In how many steps the open part is done is open too: a few more or fewer than any recording has.
    let margin = (longest - same_from_start - same_to_end) / 2;
    if ours.len() + margin < shortest || ours.len() > longest + margin || ours.len() < same_from_start + same_to_end {
        return false;
    }
    (0..same_from_start).all(|place| ours[place] == all[0][place])
        && (0..same_to_end).all(|place| from_end(ours, place) == from_end(&all[0], place))
}

/// A value without its numbers, which in an open part are those of another way there.
fn shape(value: &str) -> String {
    let mut shape = String::with_capacity(value.len());
    for letter in value.chars() {
        let letter = if letter.is_ascii_digit() { '0' } else { letter };
        if letter != '0' || !shape.ends_with('0') {
            shape.push(letter);
        }
    }
    shape
}

/// The play that agrees longest with a recording, and the place at which it parts from it.
fn nearest<'a>(recorded: &[Entry], ours: &'a [Vec<Entry>], tolerance: Tolerance) -> (usize, &'a [Entry]) {
    let same = |a: &Entry, b: &Entry| a.value == b.value && tolerance.allows(a.at_ms, b.at_ms);
    let length = |played: &Vec<Entry>| recorded.iter().zip(played).take_while(|(a, b)| same(a, b)).count();
    let best = ours.iter().max_by_key(|played| length(played)).expect("there is a play");
    (length(best), best)
}

/// The entries around a place.
fn shown(entries: &[Entry], place: usize) -> String {
    const AROUND: usize = 2;
    if entries.is_empty() {
        return "nothing".to_owned();
    }
    let from = place.saturating_sub(AROUND);
    let to = (place + AROUND).min(entries.len());
    let listed: Vec<String> = entries[from.min(to)..to]
        .iter()
        .map(|entry| format!("{} [{:.1} s]", entry.value, entry.at_ms as f64 / 1e3))
        .collect();
    let before = if from > 0 { format!("({from} before) ") } else { String::new() };
    let after = if to < entries.len() { format!(" (and {} more)", entries.len() - to) } else { String::new() };
    format!("{before}{}{after}", if listed.is_empty() { "nothing more".to_owned() } else { listed.join(" > ") })
}

#[cfg(test)]
mod tests;
