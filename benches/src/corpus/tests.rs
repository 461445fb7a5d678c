use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::words::CARDS;
use super::*;

fn parsed(mix: Mix, count: usize) -> Vec<(Record, Value)> {
    let records = Corpus::new(1).mix(mix).records().take(count);
    records
        .map(|record| {
            let Body::Item { payload, .. } = &record.body else { panic!("the corpus has items only") };
            let value = serde_json::from_slice(payload).unwrap();
            (record, value)
        })
        .collect()
}

fn payload_bytes(record: &Record) -> usize {
    record.value().len()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let take = |seed| Corpus::new(seed).records().take(500).collect::<Vec<_>>();
    assert_eq!(take(1), take(1));
    assert_ne!(take(1), take(2));
    let ids: HashSet<_> = take(1).iter().map(|r| r.meta.event_id).collect();
    assert_eq!(ids.len(), 500);
}

#[test]
fn errors_are_as_large_as_the_issue_says() {
    for seed in [1, 2, 3] {
        let mut sizes: Vec<_> =
            Corpus::new(seed).mix(Mix::ERRORS).records().take(20_000).map(|r| payload_bytes(&r)).collect();
        sizes.sort_unstable();
        let at = |share: f64| sizes[(sizes.len() as f64 * share) as usize];
        assert!((7_000..=9_000).contains(&at(0.5)), "median {}", at(0.5));
        assert!(
            sizes[0] >= 2_000 && sizes[sizes.len() - 1] <= 60_000,
            "{} to {}",
            sizes[0],
            sizes[sizes.len() - 1]
        );
        assert!(at(0.05) < 4_000 && at(0.95) > 18_000, "5 % {}, 95 % {}", at(0.05), at(0.95));
    }
}

#[test]
fn few_bugs_make_most_of_the_errors_and_every_project_has_some() {
    let errors = parsed(Mix::ERRORS, 10_000);
    let mut bugs: HashMap<String, usize> = HashMap::new();
    let mut projects = HashSet::new();
    for (record, event) in &errors {
        projects.insert(record.meta.project_id);
        let values = event["exception"]["values"].as_array().unwrap();
        let names = values.iter().flat_map(|v| v["stacktrace"]["frames"].as_array().unwrap());
        let names: Vec<_> = names.map(|f| (&f["module"], &f["function"])).collect();
        *bugs.entry(format!("{} {} {names:?}", record.meta.project_id, values[0]["type"])).or_default() += 1;
    }
    assert_eq!(projects.len() as u64, PROJECTS_DEFAULT);
    let mut counts: Vec<_> = bugs.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let head: usize = counts.iter().take(250).sum();
    assert!((1_000..10_000).contains(&counts.len()), "{} bugs", counts.len());
    assert!((3_500..6_000).contains(&head), "the first five of each project: {head} of 10,000");
}

#[test]
fn errors_have_the_parts_of_real_ones() {
    let errors = parsed(Mix::ERRORS, 2_000);
    let platforms: HashSet<_> = errors.iter().map(|(_, e)| e["platform"].as_str().unwrap()).collect();
    assert_eq!(platforms, HashSet::from(["python", "node", "java", "go"]));
    let share = |has: &dyn Fn(&Value) -> bool| errors.iter().filter(|(_, e)| has(e)).count() as f64 / 2_000.0;
    #[expect(clippy::type_complexity, reason = "a table of cases")]
    let cases: [(&str, f64, &dyn Fn(&Value) -> bool); 7] = [
        ("a user's address", 1.0, &|e| e["user"]["email"].as_str().unwrap().contains("@example.com")),
        ("a trace", 1.0, &|e| e["contexts"]["trace"]["trace_id"].as_str().unwrap().len() == 32),
        ("a cookie", 1.0, &|e| e["request"]["headers"].to_string().contains("Cookie")),
        ("a chain", 0.3, &|e| e["exception"]["values"].as_array().unwrap().len() > 1),
        ("a breadcrumb", 0.9, &|e| !e["breadcrumbs"]["values"].as_array().unwrap().is_empty()),
        ("source", 0.7, &|e| e["exception"].to_string().contains("context_line")),
        ("a card", 0.2, &|e| CARDS.iter().any(|card| e.to_string().contains(card))),
    ];
    for (what, least, has) in cases {
        assert!(share(has) >= least, "{what}: {}", share(has));
    }
}

#[test]
fn transactions_spans_and_logs() {
    for (_, t) in parsed(Mix::TRANSACTIONS, 200) {
        let spans = t["spans"].as_array().unwrap();
        assert!((20..=200).contains(&spans.len()), "{} spans", spans.len());
        let ids: HashSet<_> = spans.iter().map(|s| s["span_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), spans.len());
        for span in spans {
            assert_eq!(span["trace_id"], t["contexts"]["trace"]["trace_id"]);
            let parent = span["parent_span_id"].as_str().unwrap();
            assert!(ids.contains(parent) || parent == t["contexts"]["trace"]["span_id"]);
            assert!(span["start_timestamp"].as_f64() < span["timestamp"].as_f64());
        }
    }
    for (_, span) in parsed(Mix::SPANS, 200) {
        assert!(span["start_timestamp"].as_f64() < span["end_timestamp"].as_f64());
        assert!(span["attributes"]["sentry.op"]["value"].is_string());
    }
    for (_, log) in parsed(Mix::LOGS, 200) {
        assert!(!log["body"].as_str().unwrap().is_empty() && log["severity_number"].is_u64());
    }
}

#[test]
fn the_items_of_a_trace_share_its_id_and_project() {
    let mut projects: HashMap<String, ProjectId> = HashMap::new();
    let mut shared = 0;
    for (record, _) in parsed(Mix::default(), 5_000) {
        let trace: Value = serde_json::from_slice(&record.meta.trace).unwrap();
        let id = trace["trace_id"].as_str().unwrap().to_owned();
        let project = record.meta.project_id;
        shared += usize::from(
            projects.insert(id, project).inspect(|before| assert_eq!(*before, project)).is_some(),
        );
    }
    assert!(shared > 3_500, "{shared} of 5,000 came in a trace that was known");
}

#[test]
fn the_mix_is_as_asked_for() {
    let mut counts: HashMap<Category, u32> = HashMap::new();
    for record in Corpus::new(5).records().take(10_000) {
        let Body::Item { category, .. } = record.body else { continue };
        *counts.entry(category).or_default() += 1;
    }
    for (category, want) in [
        (Category::Error, 4_000),
        (Category::Transaction, 1_000),
        (Category::Span, 2_000),
        (Category::Log, 3_000),
    ] {
        assert!(counts[&category].abs_diff(want) < 300, "{category}: {}", counts[&category]);
    }
}
