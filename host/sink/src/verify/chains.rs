//! The chunks of a partition form one line: no gap, no overlap, no fork.
//!
//! Folders are read in any order, and a chain goes through them in any order, too, since the times in a shared log need not ascend. So
//! of every chunk is kept where it begins and ends and in which hour it lies, 24 bytes for each: 24 MB for a million chunks, and twice
//! that while the list grows. Its path follows from that.

use std::collections::BTreeMap;
use std::sync::Arc;

use host_event::{Millis, Offset, Partition};
use host_pipeline::ChunkPlace;

use super::report::{Breach, BreachKind, Chain, Order, Part, Report, Seam};
use crate::ledger::{Ledger, Names};

/// Which line of chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChainId {
    pub(crate) source: Arc<str>,
    pub(crate) epoch: u32,
    pub(crate) partition: Partition,
}

#[derive(Default)]
pub(super) struct Chains {
    lines: BTreeMap<ChainId, Line>,
    /// Paths of ledgers that are not where they belong.
    odd: Vec<String>,
}

#[derive(Default)]
struct Line {
    links: Vec<Link>,
    /// Where the chain begins, if its first ledger says that the log does.
    begins: Option<Offset>,
}

/// One chunk, in the order of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    start: Offset,
    hour: i32,
    found: u32,
    end: Offset,
}

const _: () = assert!(size_of::<Link>() == 24, "what is said of memory");

/// The chunk's ledger is where it belongs.
const IN_PLACE: u32 = 0;
/// Only its ledger was looked at, since its folder was not to be read or it is younger than the listing.
const BESIDE: u32 = u32::MAX;
/// It is somewhere else, and nobody kept where. What lies below is the number of a path, from 1.
const SOMEWHERE: u32 = u32::MAX - 1;

/// So many paths of misplaced ledgers are kept.
const ODD_PATHS_MAX: usize = 1000;
/// So many holes of all chains are looked into a second time.
const HOLES_MAX: usize = 1000;

const HOUR_MILLIS: Millis = 3_600_000;

/// Offsets of a chain that no chunk was found for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) chain: ChainId,
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Of the chunks around it. Absent before the first chunk.
    pub(super) hours: Option<(i32, i32)>,
}

/// A chain with more than one chunk for an offset: two of those.
pub(super) struct Split {
    pub(super) chain: ChainId,
    pub(super) count: u64,
    pub(super) files: [String; 2],
}

impl ChainId {
    pub(super) fn of(ledger: &Ledger) -> ChainId {
        ChainId { source: ledger.source.as_str().into(), epoch: ledger.epoch, partition: ledger.partition }
    }

    pub(super) fn order(&self, part: Part, start: Offset) -> Order {
        Order { part, chain: self.clone(), start, round: 0 }
    }

    fn names(&self, start: Offset, hour: i32) -> Names {
        let queued_at = Millis::from(hour) * HOUR_MILLIS;
        let ChainId { source, epoch, partition } = self;
        Names::new(source, ChunkPlace { partition: *partition, epoch: *epoch, start, queued_at })
    }

    /// What the names of its chunks' files begin with, up to the offset.
    pub(crate) fn prefix(&self) -> String {
        let names = self.names(0, 0);
        let name = names.stem().rsplit_once('/').map_or("", |(_, name)| name);
        name.rsplit_once("-o").map_or("", |(prefix, _)| prefix).to_owned()
    }
}

impl Chains {
    pub(super) fn push(&mut self, ledger: &Ledger, path: &str) {
        let found = if Names::of(ledger).ledger() == path { IN_PLACE } else { self.odd_path(path) };
        self.link(ledger, found);
    }

    /// Adds a chunk of which nothing but the ledger was looked at; of one that is known nothing new.
    pub(super) fn push_beside(&mut self, ledger: &Ledger, path: &str) {
        let is_known = self.lines.get(&ChainId::of(ledger)).is_some_and(|line| {
            let same = |link: &Link| (link.start, link.end) == (ledger.start, ledger.end);
            line.links.iter().any(|link| same(link) && link.found != BESIDE)
        });
        if !is_known && Names::of(ledger).ledger() == path {
            self.link(ledger, BESIDE);
        }
    }

    fn link(&mut self, ledger: &Ledger, found: u32) {
        let line = self.lines.entry(ChainId::of(ledger)).or_default();
        let hour = ledger.queued_at.div_euclid(HOUR_MILLIS) as i32;
        line.links.push(Link { start: ledger.start, hour, found, end: ledger.end });
        if ledger.begins {
            line.begins = Some(ledger.start);
        }
    }

    fn odd_path(&mut self, path: &str) -> u32 {
        if self.odd.len() >= ODD_PATHS_MAX {
            return SOMEWHERE;
        }
        self.odd.push(path.to_owned());
        self.odd.len() as u32
    }

    fn path(&self, id: &ChainId, link: &Link) -> String {
        match link.found {
            IN_PLACE | BESIDE => id.names(link.start, link.hour).ledger(),
            number => self.odd.get(number as usize - 1).map_or_else(
                || format!("a file that says it is {}", id.names(link.start, link.hour).ledger()),
                Clone::clone,
            ),
        }
    }

    /// To be called when all is there.
    pub(super) fn sort(&mut self) {
        self.lines.values_mut().for_each(|line| line.links.sort_unstable());
    }

    /// Whether it is the youngest of its chain: a worker may be at it, or will be after a crash.
    pub(super) fn is_last(&self, id: &ChainId, start: Offset) -> bool {
        self.lines.get(id).and_then(|line| line.links.last()).is_none_or(|last| last.start <= start)
    }

    /// Where chunks seem to be missing. With `openings` also before the first chunk of each chain.
    pub(super) fn holes(&self, openings: bool) -> Vec<Hole> {
        let mut holes = Vec::new();
        for (id, line) in &self.lines {
            let Some(first) = line.links.first() else { continue };
            let hole = |start, end, hours| Hole { chain: id.clone(), start, end, hours };
            if openings && first.start > 0 && line.begins != Some(first.start) {
                holes.push(hole(0, first.start, None));
            }
            let mut far = *first;
            for link in &line.links {
                if link.start > far.end {
                    holes.push(hole(far.end, link.start, Some((far.hour, link.hour))));
                }
                far = further(far, *link);
            }
            if holes.len() >= HOLES_MAX {
                break;
            }
        }
        holes
    }

    /// Says what is wrong with the chains. `since` of what was read from a time on, where what is before is not known.
    pub(super) fn check(&self, since: bool, report: &mut Report) -> Vec<Split> {
        let mut splits = Vec::new();
        for (id, line) in &self.lines {
            // Of a chain with nothing but a seam nothing was read.
            if let Some(chain) = line.shown(id, since) {
                if !since {
                    self.check_start(id, line, report);
                }
                report.chains.push(chain);
                splits.extend(self.check_line(id, line, since, report));
            }
        }
        splits
    }

    /// How far the newest chain of a partition goes, and its last chunk. Each epoch begins where somebody wanted it to.
    pub(super) fn end(&self, source: &str, partition: Partition) -> Option<(Offset, String)> {
        let (id, line) = self.epochs(source, partition).last()?;
        let last = line.links.iter().copied().reduce(further)?;
        Some((last.end, self.path(id, &last)))
    }

    /// Whether a chunk of any epoch ends there, and has its ledger there.
    pub(super) fn has(&self, source: &str, partition: Partition, end: Offset, path: &str) -> bool {
        let is_it = |id: &ChainId, link: &Link| link.end == end && self.path(id, link) == path;
        self.epochs(source, partition).any(|(id, line)| line.links.iter().any(|link| is_it(id, link)))
    }

    fn epochs(&self, source: &str, partition: Partition) -> impl Iterator<Item = (&ChainId, &Line)> {
        self.lines.iter().filter(move |(id, _)| &*id.source == source && id.partition == partition)
    }

    fn check_start(&self, id: &ChainId, line: &Line, report: &mut Report) {
        let first = &line.links[0];
        // A later epoch begins where it was told to.
        if id.epoch == 0 && first.start > 0 && line.begins != Some(first.start) {
            let start = first.start;
            let what = format!(
                "the chain begins here, and not at offset 0: {} in no chunk",
                offsets_are((0, start))
            );
            let breach = Breach::new(BreachKind::Gap, &self.path(id, first), what);
            report.breach(id.order(Part::Chains, start), breach.at(id.partition, start).range(0, start));
        }
    }

    fn check_line(&self, id: &ChainId, line: &Line, since: bool, report: &mut Report) -> Option<Split> {
        let mut split: Option<Split> = None;
        let (mut far, mut before) = (line.links[0], line.links[0]);
        for link in line.links.iter().skip(1) {
            let is_fork = link.start == before.start;
            let other = if is_fork { before } else { far };
            let (path, other_path) = (self.path(id, link), self.path(id, &other));
            let (start, end) = (link.start, other.end);
            let (kind, what, range) = match start.cmp(&end) {
                _ if is_fork => {
                    let doubled = (start, end.min(link.end));
                    (BreachKind::Fork, format!("{other_path} begins there too, and ends at {end}"), doubled)
                }
                std::cmp::Ordering::Less => {
                    let doubled = (start, end.min(link.end));
                    let what = format!("{other_path} ends at {end}: {} in both", offsets_are(doubled));
                    (BreachKind::Overlap, what, doubled)
                }
                std::cmp::Ordering::Greater => {
                    let missing = (end, start);
                    let mut what =
                        format!("{other_path} ends at {end}: {} in no chunk", offsets_are(missing));
                    if since {
                        what += " that was looked at; without --since all are";
                    }
                    (BreachKind::Gap, what, missing)
                }
                std::cmp::Ordering::Equal => {
                    (far, before) = (further(far, *link), *link);
                    continue;
                }
            };
            if kind != BreachKind::Gap {
                let files = || [other_path.clone(), path.clone()];
                split.get_or_insert_with(|| Split { chain: id.clone(), count: 0, files: files() }).count += 1;
            }
            let breach = Breach::new(kind, &path, what).at(id.partition, start).range(range.0, range.1);
            report.breach(id.order(Part::Chains, start), breach.see(other_path));
            (far, before) = (further(far, *link), *link);
        }
        split
    }
}

impl Line {
    /// As the report shows it: what was read of it.
    fn shown(&self, id: &ChainId, since: bool) -> Option<Chain> {
        let mut read = self.links.iter().filter(|link| link.found != BESIDE);
        let first = read.next()?;
        let (last, more) =
            read.fold((first, 0), |(last, n), link| (if link.end > last.end { link } else { last }, n + 1));
        let is_beginning = first.start == 0 || self.begins == Some(first.start);
        let seam = match self.links[0].found {
            _ if is_beginning => Seam::Beginning,
            BESIDE => Seam::Checked,
            _ => Seam::Unknown,
        };
        Some(Chain {
            source: id.source.to_string(),
            epoch: id.epoch,
            partition: id.partition,
            start: first.start,
            end: last.end,
            chunks: 1 + more,
            seam: since.then_some(seam),
        })
    }
}

/// The one that reaches further.
fn further(a: Link, b: Link) -> Link {
    if b.end > a.end { b } else { a }
}

/// `offsets 5..9 are`, or `offset 5 is`.
pub(super) fn offsets_are((start, end): (Offset, Offset)) -> String {
    match end.saturating_sub(start) {
        1 => format!("offset {start} is"),
        _ => format!("offsets {start}..{end} are"),
    }
}
