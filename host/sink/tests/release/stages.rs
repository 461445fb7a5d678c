//! What a release makes of items.

use host_event::{Category, Doc, Event};
use host_pipeline::generation::{Because, Proposal, Published, Rollout, Terms, publish as publish_proposal};
use host_pipeline::{FailurePolicy, StageKind, draw};
use host_sink::quarantine::Selection;
use host_sink::release::ReleaseError;
use host_sink::store::StoreShelf;
use serde_json::{Value, json};

use super::world::*;

fn draw_of(offset: u64) -> f64 {
    let item = item(offset);
    let doc = Doc::parse(item.payload).unwrap();
    draw(&Event { offset, queued_at: 0, category: item.category, meta: item.meta, doc })
}

fn json_of(row: &Row) -> Value {
    serde_json::from_str(&row.payload).unwrap()
}

#[test]
fn a_mended_generation_releases_what_a_broken_one_held() {
    let store = world();
    let (before, sums_before) = (accepted(&store), sums(&store));
    let waiting = held(&store);
    let received: i64 = sums_before.values().sum();
    assert_eq!((received, sums_before["quarantined"]), (120, waiting.len() as i64));
    assert_sound(&store);

    let mended = publish(&store, stages(&["a", "b"]));
    let summary = release_with(&store, &mended, &config(1)).unwrap();
    let count = waiting.len() as u64;
    assert_eq!((summary.selected, summary.rounds, summary.released_before), (count, 2, 0));
    assert_eq!(summary.released[&("accepted".to_owned(), String::new())], count);
    assert!(summary.stayed.is_empty() && summary.problems.is_empty(), "{summary:?}");

    let report = assert_sound(&store);
    assert_eq!((report.rounds, report.released, report.chunks, report.offsets), (2, count, 2, 120));
    assert!(report.render().contains(&format!("{count} items released from quarantine in 2 rounds")));
    assert!(!report.render().contains("quarantined"), "nothing is left of it: {}", report.render());
    let sums_after = sums(&store);
    assert_eq!(sums_after.values().sum::<i64>(), received, "what was received is what it was");
    assert_eq!(sums_after["accepted"], sums_before["accepted"] + waiting.len() as i64);
    assert!(held(&store).is_empty() && all_held(&store).len() == waiting.len(), "the rows stay");
    assert!(store.list("control/release").unwrap().is_empty(), "nothing is left of what was staged");

    let after = accepted(&store);
    assert_eq!(after.len(), before.len() + waiting.len());
    let hash_of_user = |row: &Row| json_of(row)["user"].as_str().unwrap().to_owned();
    for held in waiting {
        let row = &after[&(held.offset as i64)];
        assert_eq!(row.event_id, held.meta.event_id.to_string());
        assert_eq!((row.generation, row.rate), (2, 0.5));
        assert!(!row.payload.contains(SECRET) && json_of(row)["secret"] == "*******", "{}", row.payload);
        // Hashed once, by the broken generation. A hash of a hash would be another.
        let user = hash_of_user(row);
        assert_eq!(user.len(), 40);
        let in_quarantine: Value = serde_json::from_slice(&held.payload).unwrap();
        assert_eq!(in_quarantine["user"], Value::from(user), "the scrubber before had done its work");
        assert_eq!(in_quarantine["secret"], SECRET, "and this one had not");
    }

    let again = release_with(&store, &mended, &config(2)).unwrap();
    assert_eq!((again.selected, again.released_before, again.rounds), (0, count, 0));
    assert_eq!(accepted(&store), after);
}

#[test]
fn what_fails_again_stays_and_comes_later() {
    let store = world();
    let half = publish(&store, stages(&["a"]));
    let total = held(&store).len() as u64;
    let summary = release_with(&store, &half, &config(1)).unwrap();
    let released: u64 = summary.released.values().sum();
    let stayed: u64 = summary.stayed.values().sum();
    assert!(released > 0 && stayed > 0 && released + stayed == total, "{summary:?}");
    assert!(summary.stayed.keys().all(|(stage, reason)| stage == "scrub" && !reason.is_empty()));
    assert_eq!((summary.stayed_items.len() as u64, held(&store).len() as u64), (stayed, stayed));
    assert_sound(&store);
    let nothing = release_with(&store, &half, &config(2)).unwrap();
    assert_eq!((nothing.rounds, nothing.stayed), (0, summary.stayed));

    let mended = publish(&store, stages(&["a", "b"]));
    let rest = release_with(&store, &mended, &config(3)).unwrap();
    assert_eq!((rest.selected, rest.released_before), (stayed, released));
    assert!(held(&store).is_empty());
    assert_eq!(assert_sound(&store).rounds, 4, "two rounds of each chunk");
    let generations: Vec<_> = all_held(&store).iter().map(|h| h.released.unwrap()).collect();
    assert!(generations.iter().all(|r| u64::from(r.round) + 1 == r.generation), "{generations:?}");
}

#[test]
fn selections_are_rounds_of_their_own() {
    let store = world();
    let mended = publish(&store, stages(&["a", "b"]));
    let all = held(&store);
    let select = |selection: Selection| {
        let config = host_sink::release::ReleaseConfig { selection, ..config(1) };
        release_with(&store, &mended, &config).unwrap().released.values().sum::<u64>()
    };
    let one = all[3].meta.event_id;
    assert_eq!(select(Selection { events: vec![one], ..Selection::default() }), 1);
    assert_eq!(select(Selection { events: vec![one], ..Selection::default() }), 0, "it is out");
    assert_eq!(select(Selection { stages: vec!["none".into()], ..Selection::default() }), 0);
    let traps = all.iter().filter(|h| h.reason == "trap" && h.meta.event_id != one).count() as u64;
    assert!(traps > 0);
    assert_eq!(select(Selection { reasons: vec!["trap".into()], ..Selection::default() }), traps);
    assert_eq!(select(Selection { since: Some(HOUR + 3_600_000), ..Selection::default() }), 0);
    let of_two = held(&store).iter().filter(|h| h.meta.project_id == 2).count() as u64;
    assert_eq!(select(Selection { projects: vec![2], ..Selection::default() }), of_two);
    select(Selection { stages: vec!["scrub".into()], ..Selection::default() });
    assert!(held(&store).is_empty());
    let report = assert_sound(&store);
    assert_eq!(report.released, all.len() as u64);
}

/// A stage that rests after it failed on some must not keep the others in quarantine.
#[test]
fn a_stage_that_rests_is_asked_again() {
    let store = world();
    let waiting = held(&store);
    let logs = waiting.iter().filter(|h| h.category == Category::Log && h.offset < 80).count();
    assert!(logs > 0);
    let mut stages = stages(&["a"]);
    stages[3].config = json!({ "heals": ["a"], "tires": true });
    let summary = release_with(&store, &publish(&store, stages), &config(1)).unwrap();
    let is_healed = |h: &&host_sink::quarantine::Held| h.payload.windows(3).any(|w| w == b"\"a\"");
    let healed = waiting.iter().filter(is_healed).count() as u64;
    assert_eq!(summary.released.values().sum::<u64>(), healed, "{summary:?}");
    assert!(summary.stayed.keys().all(|(_, reason)| reason != "breaker-open"), "{summary:?}");
    assert_sound(&store);
}

/// Kept is what lies below both rates, and a row says the smaller one.
#[test]
fn rates_are_those_of_both_draws() {
    for (now, want) in [(0.8, 0.5), (0.5, 0.5), (0.3, 0.3)] {
        let store = world();
        let mut stages = stages(&["a", "b"]);
        stages[1].config = json!({ "rate": now });
        let mended = publish(&store, stages);
        let waiting = held(&store);
        assert!(waiting.iter().all(|h| h.server_sample_rate == Some(0.5) && draw_of(h.offset) < 0.5));
        let before = accepted(&store);
        let summary = release_with(&store, &mended, &config(1)).unwrap();
        let kept = waiting.iter().filter(|h| draw_of(h.offset) < now).count();
        let after = accepted(&store);
        assert_eq!(after.len() - before.len(), kept);
        let sampled_out: u64 =
            summary.released.iter().filter(|((o, _), _)| o == "sampled_out").map(|(_, n)| n).sum();
        assert_eq!((sampled_out, now < 0.5), ((waiting.len() - kept) as u64, sampled_out > 0));
        assert!(after.iter().filter(|(o, _)| !before.contains_key(o)).all(|(_, row)| row.rate == want));
        assert!(held(&store).is_empty(), "what was sampled out has an outcome");
        assert_sound(&store);
    }
}

#[test]
fn a_filter_may_drop_now_what_it_let_pass() {
    let store = world();
    let mut stages = stages(&["a", "b"]);
    stages[0].config = json!({ "drops": "fine" });
    let count = held(&store).len() as u64;
    let summary = release_with(&store, &publish(&store, stages), &config(1)).unwrap();
    assert_eq!(summary.released[&("filtered".to_owned(), "noise".to_owned())], count);
    assert_eq!(sums(&store)["filtered"] as u64, count + (0..120).filter(|o| o % 11 == 5).count() as u64);
    assert_sound(&store);
}

/// A scrubber that was changed, or that an item had got past without, runs. A policy does not let it go without.
#[test]
fn only_what_was_done_by_the_same_scrubber_is_left_out() {
    let user = |row: &Row| json_of(row)["user"].as_str().unwrap().to_owned();
    let released = |change: fn(&mut host_pipeline::generation::StageManifest)| {
        let store = world();
        let mut stages = stages(&["a", "b"]);
        change(&mut stages[2]);
        let before = accepted(&store);
        release_with(&store, &publish(&store, stages), &config(1)).unwrap();
        assert_sound(&store);
        let mut after = accepted(&store);
        after.retain(|offset, _| !before.contains_key(offset));
        after.values().map(user).collect::<Vec<_>>()
    };
    let once = released(|_| {});
    let limits = released(|stage| _ = stage.limits.insert("call_time_max".into(), 7.into()));
    assert_eq!(once, limits, "limits do not change what it does");
    let changed = released(|stage| stage.config = json!({ "version": 2 }));
    assert_eq!(once.len(), changed.len());
    assert!(once.iter().zip(&changed).all(|(once, twice)| once != twice && twice.len() == 40));

    let store = world();
    let mut open = stages(&["a"]);
    open[3].on_failure = FailurePolicy::FailOpen;
    let summary = release_with(&store, &publish(&store, open), &config(1)).unwrap();
    assert!(!summary.stayed.is_empty(), "a scrubber that fails keeps it, whatever its policy");
    assert!(accepted(&store).values().all(|row| !row.payload.contains(SECRET)));
}

#[test]
fn a_generation_without_the_scrubber_lets_nothing_out() {
    let without = stages(&["a", "b"]).into_iter().filter(|s| s.name != "scrub").collect::<Vec<_>>();
    let mut renamed = stages(&["a", "b"]);
    renamed[3].name = "scrub2".into();
    let mut no_logs = stages(&["a", "b"]);
    no_logs[3].categories = vec![Category::Error];
    for (stages, nothing) in [(without, true), (renamed, true), (no_logs, false)] {
        let store = world();
        let before = held(&store);
        let summary = release_with(&store, &publish(&store, stages), &config(1)).unwrap();
        assert_eq!(summary.released.is_empty(), nothing, "{summary:?}");
        let (stage, reason) = summary.stayed.keys().next().unwrap();
        assert_eq!((stage.as_str(), reason.as_str()), ("scrub", "no-scrubber"));
        let is_log = |h: &host_sink::quarantine::Held| h.category == Category::Log;
        let after = held(&store);
        assert_eq!(before.iter().filter(|h| is_log(h)).count(), after.iter().filter(|h| is_log(h)).count());
        assert!(accepted(&store).values().all(|row| !row.payload.contains(SECRET)));
        assert_sound(&store);
    }
}

/// A scrubber earlier in the chain that failed open has not done its work.
#[test]
fn what_was_passed_over_is_not_done() {
    let store: std::sync::Arc<dyn host_sink::store::Store> =
        std::sync::Arc::new(host_sink::store::MemoryStore::default());
    let first = |heals: &[&str]| {
        let mut scrub = stage(StageKind::Scrubber, "scrub", json!({ "heals": heals }));
        scrub.on_failure = FailurePolicy::FailOpen;
        scrub
    };
    // It passes over what has a poison, and the second one then holds just that.
    let second = |heals: &[&str]| {
        let mut last = stage(StageKind::Scrubber, "last", json!({ "heals": heals }));
        last.on_failure = FailurePolicy::FailClosed;
        last
    };
    let broken = publish(&store, vec![first(&[]), second(&[])]);
    write(&store, &broken, 0, 30);
    let waiting = held(&store);
    assert!(!waiting.is_empty() && waiting.iter().all(|h| h.stage == "last"));
    // The first one is the same, so it would be left out if it had worked; it fails again, and closed now.
    let summary = release_with(&store, &publish(&store, vec![first(&[]), second(&["a", "b"])]), &config(1));
    let summary = summary.unwrap();
    assert!(summary.released.is_empty() && summary.stayed.keys().all(|(stage, _)| stage == "scrub"));
    release_with(&store, &publish(&store, vec![first(&["a", "b"]), second(&["a", "b"])]), &config(1))
        .unwrap();
    assert!(held(&store).is_empty());
    let released = accepted(&store);
    assert!(waiting.iter().all(|h| !released[&(h.offset as i64)].payload.contains(SECRET)));
    assert_sound(&store);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let store = world();
    let half = publish(&store, stages(&["a"]));
    let listed = |folder: &str| store.list(folder).unwrap();
    let before: Vec<_> = ["events", "logs", "outcomes", "groups", "control"].map(listed).into();
    let dry = host_sink::release::ReleaseConfig { dry_run: true, ..config(1) };
    let said = release_with(&store, &half, &dry).unwrap();
    let after: Vec<_> = ["events", "logs", "outcomes", "groups", "control"].map(listed).into();
    assert_eq!(before, after);
    let done = release_with(&store, &half, &config(1)).unwrap();
    assert_eq!((said.released, said.stayed, said.rounds), (done.released, done.stayed, 0));
}

#[test]
fn a_shadow_decides_about_nothing() {
    let store = world();
    let rollout = Rollout::Shadow(Terms { base: 1, share: 1.0, cpu: 1.0, rule: Default::default() });
    let stages = stages(&["a", "b"]);
    let proposal = Proposal { stages, rollout, because: Because::default(), expected: None };
    let shelf = StoreShelf(std::sync::Arc::clone(&store));
    let published = publish_proposal(&shelf, proposal, &[], "2026-11-22T19:00:00Z").unwrap();
    let error = release_with(&store, &Published::manifest(published), &config(1)).unwrap_err();
    assert!(matches!(error, ReleaseError::Shadow { generation: 2 }), "{error}");
}
