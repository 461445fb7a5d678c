//! Whether a store keeps the one promise that everything is built on: of writers that create the same object at the same time one
//! wins, and its bytes are what is there.
//!
//! Some stores that speak S3 take `If-None-Match` and do not mean it, or look first and write then. The second kind loses only races, so
//! several writers run several of them, each at the same moment.

use std::sync::Barrier;
use std::thread;

use bytes::Bytes;

use super::{Create, OpenError, Store, StoreError};

const PROBE_FOLDER: &str = "control/probe";
const PROBE_ROUNDS: usize = 6;
const PROBE_WRITERS: usize = 8;
/// Large enough for a store to write it in pieces, which could be pieces of two.
const PROBE_BYTES: usize = 16 << 10;

/// Probes a store that is to be written to. With `allow_unsafe` one that fails is taken with a warning. `url` is for messages, `nonce` random.
pub fn prove(store: &dyn Store, url: &str, nonce: &str, allow_unsafe: bool) -> Result<(), OpenError> {
    match probe(store, nonce)? {
        Ok(()) => Ok(()),
        Err(what) if allow_unsafe => {
            tracing::warn!(
                "store {url} does not keep what it promises: {what}. It is taken because of store.allow_unsafe: two workers may write the \
                 same offsets"
            );
            Ok(())
        }
        Err(what) => Err(OpenError::Lies { url: url.into(), what }),
    }
}

/// Runs races. `Err` in the result says what happened instead. Leaves nothing behind, and deletes only what it made.
pub fn probe(store: &dyn Store, nonce: &str) -> Result<Result<(), String>, StoreError> {
    let paths: Vec<_> = (0..PROBE_ROUNDS).map(|round| format!("{PROBE_FOLDER}/{nonce}-{round}")).collect();
    let start = Barrier::new(PROBE_WRITERS);
    // Each writer runs all races, so that they cost the time of so many creates, and not more threads.
    let run = |writer: usize| {
        let create = |path: &String| {
            start.wait();
            store.create(path, body_of(writer))
        };
        paths.iter().map(create).collect()
    };
    let run = &run;
    let answers: Vec<Vec<Result<Create, StoreError>>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..PROBE_WRITERS).map(|writer| scope.spawn(move || run(writer))).collect();
        writers.into_iter().map(|writer| writer.join().expect("stores do not panic")).collect()
    });
    let verdicts: Vec<_> = thread::scope(|scope| {
        let mut judges = Vec::with_capacity(PROBE_ROUNDS);
        for (round, path) in paths.iter().enumerate() {
            let of_round: Vec<_> = answers.iter().map(|of_writer| of_writer[round].clone()).collect();
            judges.push(scope.spawn(move || judge(store, path, &of_round)));
        }
        judges.into_iter().map(|judge| judge.join().expect("stores do not panic")).collect()
    });
    // A lie that was seen counts, also when the store failed in another race.
    let lie = verdicts.iter().find_map(|verdict| verdict.as_ref().ok()?.as_ref().err());
    match lie {
        Some(lie) => Ok(Err(lie.clone())),
        None => verdicts.into_iter().collect::<Result<Vec<_>, _>>().map(|_| Ok(())),
    }
}

fn body_of(writer: usize) -> Bytes {
    Bytes::from(format!("{writer:8}").repeat(PROBE_BYTES / 8))
}

/// What a race says, and takes away what it made.
fn judge(
    store: &dyn Store,
    path: &str,
    answers: &[Result<Create, StoreError>],
) -> Result<Result<(), String>, StoreError> {
    let found = store.read(path)?;
    let author = (0..PROBE_WRITERS).find(|writer| found.as_ref() == Some(&body_of(*writer)));
    let winners: Vec<_> = (0..PROBE_WRITERS).filter(|w| answers[*w] == Ok(Create::Created)).collect();
    if author.is_some() || !winners.is_empty() {
        store.delete(path)?;
    }
    if let [_, _, ..] = winners[..] {
        let winners = winners.len();
        return Ok(Err(format!(
            "{winners} of {PROBE_WRITERS} writers were told that they created one object"
        )));
    }
    if let Some(failed) = answers.iter().find_map(|answer| answer.clone().err()) {
        return Err(failed);
    }
    match (author, &winners[..]) {
        (Some(author), [winner]) if author == *winner => Ok(Ok(())),
        (None, [_]) if found.is_none() => Ok(Err("what was created is not there".into())),
        (_, [_]) => Ok(Err("what is there is not what the winner wrote".into())),
        // A client that tried again after a lost answer says of its own object that it exists.
        (Some(_), _) => Ok(Ok(())),
        (None, _) => Err(StoreError::away(path, "the store says that it exists, and has nothing there")),
    }
}
