//! Every value that a selector names, found in one walk over each document.
//!
//! A selector is evaluated once per distinct path and kind, not once per value: the table of paths gives each a number,
//! and the answer is kept under it. Only where an index decides is it evaluated for each value.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;

use super::paths::{PathId, Paths, ROOT};
use super::{ColumnError, leaf_kind};
use crate::limits::SELECTOR_STEPS_MAX;
use crate::path::pairs;
use crate::selector::{Step, Verdict, Work};
use crate::way::{By, Stop};
use crate::{Event, Kind, NodeRef, Selector};

/// Values of all rows, ordered by row and then by place in the document. See the WIT for the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafList {
    pub events: Vec<u32>,
    pub ids: Vec<u32>,
    pub kinds: Vec<u8>,
    pub paths: Vec<u32>,
    pub offsets: Vec<u32>,
    pub data: Vec<u8>,
    pub path_offsets: Vec<u32>,
    pub path_data: Vec<u8>,
    pub path_keys: Vec<u32>,
}

impl LeafList {
    /// About half of all nodes are keys. Growing six lists step by step cost a third of the walk.
    fn with_room_for(nodes: usize) -> LeafList {
        let mut list = LeafList {
            offsets: Vec::with_capacity(nodes / 2 + 1),
            path_offsets: vec![0],
            ..LeafList::default()
        };
        list.offsets.push(0);
        list.events.reserve(nodes / 2);
        list.ids.reserve(nodes / 2);
        list.kinds.reserve(nodes / 2);
        list.paths.reserve(nodes / 2);
        list.data.reserve(nodes * 8);
        list
    }
}

/// What is kept between calls.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    paths: Paths,
    /// Added to the number of a path, so that numbers stay unique when the table is started anew.
    epoch: u32,
    known: HashMap<String, Known>,
    /// For each row the id of its first node, and behind them the end. Empty until it is needed.
    bases: Vec<u32>,
}

#[derive(Debug)]
struct Known {
    selector: Arc<Selector>,
    /// By path and kind, `None` where it was not asked yet. The last of each path's is for everything below it.
    verdicts: Vec<Option<Verdict>>,
}

/// The stride of `Known::verdicts`: the kinds of leaves, and one more.
const STRIDE: usize = 6;
const BELOW: usize = 5;
/// Distinct selectors that one worker keeps parsed. Each has verdicts for all paths of the table, up to 400 KB.
const SELECTORS_MAX: usize = 128;

impl Leaves {
    pub(super) fn forget(&mut self) {
        self.bases.clear();
    }

    pub(super) fn find(&self, id: u32) -> Option<(usize, u32)> {
        let row = self.bases.partition_point(|base| *base <= id).checked_sub(1)?;
        let end = *self.bases.get(row + 1)?;
        (id < end).then(|| (row, id - self.bases[row]))
    }

    pub(super) fn collect(
        &mut self,
        selector: &str,
        events: &[Event],
        rows: &[u32],
    ) -> Result<LeafList, ColumnError> {
        let mut known = self.take(selector)?;
        self.number(selector, events, rows)?;
        if self.paths.is_full() {
            self.start_anew();
            known.verdicts.clear();
        }
        let mut list = LeafList::with_room_for(*self.bases.last().unwrap_or(&0) as usize);
        let mut places = vec![u32::MAX; self.paths.len()];
        let work = Work::new(SELECTOR_STEPS_MAX);
        for (row, event) in rows.iter().map(|row| &events[*row as usize]).enumerate() {
            let mut walk = Walk {
                paths: &mut self.paths,
                epoch: self.epoch,
                known: &mut known,
                work: &work,
                list: &mut list,
                places: &mut places,
                indices: Vec::new(),
                row: row as u32,
                base: self.bases[row],
            };
            walk.document(event.doc.root());
        }
        if work.is_spent() {
            // What is known of the selector now may be wrong.
            return Err(ColumnError::SelectorWork { selector: selector.chars().take(200).collect() });
        }
        self.known.insert(selector.to_owned(), known);
        match u32::try_from(list.data.len()) {
            Ok(_) => Ok(list),
            Err(_) => Err(ColumnError::TooLarge { path: selector.to_owned() }),
        }
    }

    fn take(&mut self, selector: &str) -> Result<Known, ColumnError> {
        if let Some(known) = self.known.remove(selector) {
            return Ok(known);
        }
        if self.known.len() >= SELECTORS_MAX {
            self.known.clear();
        }
        Ok(Known { selector: Arc::new(Selector::parse(selector)?), verdicts: Vec::new() })
    }

    fn number(&mut self, selector: &str, events: &[Event], rows: &[u32]) -> Result<(), ColumnError> {
        if !self.bases.is_empty() {
            return Ok(());
        }
        let mut next = 0u32;
        self.bases.push(0);
        for row in rows {
            let nodes = events[*row as usize].doc.node_count();
            next =
                next.checked_add(nodes).ok_or_else(|| ColumnError::TooLarge { path: selector.to_owned() })?;
            self.bases.push(next);
        }
        Ok(())
    }

    fn start_anew(&mut self) {
        self.epoch = self.epoch.wrapping_add(self.paths.len() as u32);
        self.paths = Paths::default();
        self.known.values_mut().for_each(|known| known.verdicts.clear());
    }
}

struct Walk<'a> {
    paths: &'a mut Paths,
    epoch: u32,
    known: &'a mut Known,
    work: &'a Work,
    list: &'a mut LeafList,
    /// Where each path stands in the answer's table; `u32::MAX` if it is not there yet.
    places: &'a mut Vec<u32>,
    /// The indices of the elements on the way, for selectors that name one.
    indices: Vec<u64>,
    row: u32,
    base: u32,
}

/// Members of an event that are lists with or without `values` around them.
const LISTS: [&[u8]; 3] = [b"exception", b"threads", b"breadcrumbs"];
/// Keys under which `[[key, value], ...]` stands for an object.
const PAIRS: [&[u8]; 6] = [b"tags", b"headers", b"cookies", b"env", b"query_string", b"data"];

fn is_pair_list(node: NodeRef<'_>, key: NodeRef<'_>) -> bool {
    PAIRS.iter().any(|name| key.is(name)) && pairs(node).next().is_some()
}

/// Key and value, if it is a pair.
fn as_pair<'a>(item: NodeRef<'a>) -> Option<(NodeRef<'a>, NodeRef<'a>)> {
    let mut parts = item.items();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(key), Some(value), None) if key.kind() == Kind::String => Some((key, value)),
        _ => None,
    }
}

/// What [`Step`] is, for a way that is not in the table of paths.
pub(crate) enum OwnStep<'a> {
    Key(Cow<'a, str>),
    Element(u64),
}

impl OwnStep<'_> {
    pub(crate) fn as_step(&self) -> Step<'_> {
        match self {
            OwnStep::Key(key) => Step::Key(key.as_bytes()),
            OwnStep::Element(index) => Step::Element(Some(*index)),
        }
    }
}

/// The steps by which [`Walk`] comes to where a way leads; `None` for what it does not come to.
pub(crate) fn steps_of<'a>(way: &[Stop<'a>]) -> Option<Vec<OwnStep<'a>>> {
    let name = |key: NodeRef<'a>| OwnStep::Key(key.as_str().unwrap_or_default());
    let (mut steps, mut under) = (Vec::with_capacity(way.len()), None);
    let mut legs = way.windows(2);
    while let Some([from, to]) = legs.next() {
        match to.by {
            By::Root => {}
            By::Key(key) => {
                steps.push(name(key));
                let is_top = matches!(from.by, By::Root);
                if is_top && to.node.kind() == Kind::Array && LISTS.iter().any(|list| key.is(list)) {
                    steps.push(OwnStep::Key(Cow::Borrowed("values")));
                }
                under = Some(key);
            }
            By::Index(index) => {
                let key = under?;
                let in_pairs = is_pair_list(from.node, key);
                match as_pair(to.node).filter(|_| in_pairs) {
                    Some((of_pair, _)) => {
                        // The pair itself and its key are no values.
                        legs.next().filter(|leg| matches!(leg[1].by, By::Index(1)))?;
                        steps.push(name(of_pair));
                        under = Some(of_pair);
                    }
                    None => {
                        steps.push(OwnStep::Element(index));
                        under = Some(if in_pairs { to.node } else { key });
                    }
                }
            }
        }
    }
    Some(steps)
}

impl Walk<'_> {
    fn document(&mut self, root: NodeRef<'_>) {
        let mut before = None;
        for (key, value) in root.entries() {
            // What the host itself notes about an event is not the plugins' to read or edit.
            if key.is(b"_meta") {
                continue;
            }
            let mut path = self.member(ROOT, before, key);
            before = Some(path);
            if value.kind() == Kind::Array && LISTS.iter().any(|name| key.is(name)) {
                path = self.paths.member(path, None, b"values");
            }
            self.value(value, path, key);
        }
    }

    fn member(&mut self, parent: PathId, before: Option<PathId>, key: NodeRef<'_>) -> PathId {
        match key.has_escapes() {
            false => self.paths.member(parent, before, key.content()),
            true => self.paths.member(parent, before, key.as_str().unwrap_or_default().as_bytes()),
        }
    }

    fn value(&mut self, node: NodeRef<'_>, path: PathId, key: NodeRef<'_>) {
        let Some(kind) = leaf_kind(node.kind()) else { return };
        if self.work.is_spent() {
            return;
        }
        if self.selects(path, node.kind(), kind) {
            self.add(node, path, kind);
        }
        match node.kind() {
            Kind::Object | Kind::Array if !self.may_be_below(path) => {}
            Kind::Object => {
                let mut before = None;
                for (key, value) in node.entries() {
                    let path = self.member(path, before, key);
                    before = Some(path);
                    self.value(value, path, key);
                }
            }
            Kind::Array if is_pair_list(node, key) => self.pair_list(node, path),
            Kind::Array => {
                let element = self.paths.element(path);
                for (index, item) in node.items().enumerate() {
                    self.indices.push(index as u64);
                    self.value(item, element, key);
                    self.indices.pop();
                }
            }
            _ => {}
        }
    }

    /// Pairs are members; whatever else is in the list is an element.
    fn pair_list(&mut self, list: NodeRef<'_>, path: PathId) {
        let mut before = None;
        for (index, item) in list.items().enumerate() {
            match as_pair(item) {
                Some((key, value)) => {
                    let path = self.member(path, before, key);
                    before = Some(path);
                    self.value(value, path, key);
                }
                None => {
                    let element = self.paths.element(path);
                    self.indices.push(index as u64);
                    self.value(item, element, item);
                    self.indices.pop();
                }
            }
        }
    }

    #[inline]
    fn selects(&mut self, path: PathId, kind: Kind, leaf_kind: u8) -> bool {
        if !self.known.selector.may_match(kind) {
            return false;
        }
        let verdict = self.verdict(path, usize::from(leaf_kind), |selector, steps, work| {
            selector.verdict(steps, kind, work)
        });
        match verdict {
            Verdict::No => false,
            Verdict::Yes => true,
            Verdict::ByIndex => {
                let steps = self.steps_with_indices(path);
                self.work.spend(steps.len());
                self.known.selector.matches(&steps, kind, self.work)
            }
        }
    }

    /// Whether it is worth to look at what an object or array holds: most selectors are about a few places.
    #[inline]
    fn may_be_below(&mut self, path: PathId) -> bool {
        let ask = |selector: &Selector, steps: &[Step<'_>], work: &Work| {
            selector.may_match_below(steps, work).into()
        };
        self.verdict(path, BELOW, ask) == Verdict::Yes
    }

    #[inline]
    fn verdict(
        &mut self,
        path: PathId,
        which: usize,
        ask: impl FnOnce(&Selector, &[Step<'_>], &Work) -> Verdict,
    ) -> Verdict {
        let slot = path as usize * STRIDE + which;
        if self.known.verdicts.len() <= slot {
            self.known.verdicts.resize((self.paths.len() + 64) * STRIDE, None);
        }
        if let Some(known) = self.known.verdicts[slot] {
            return known;
        }
        let steps = self.paths.steps(path);
        self.work.spend(steps.len());
        let verdict = ask(&self.known.selector, &steps, self.work);
        self.known.verdicts[slot] = Some(verdict);
        verdict
    }

    fn steps_with_indices(&self, path: PathId) -> Vec<Step<'_>> {
        let mut steps = self.paths.steps(path);
        let mut indices = self.indices.iter();
        for step in &mut steps {
            if let Step::Element(index) = step {
                *index = indices.next().copied();
            }
        }
        steps
    }

    #[inline]
    fn add(&mut self, node: NodeRef<'_>, path: PathId, kind: u8) {
        if self.places.len() <= path as usize {
            self.places.resize(self.paths.len() + 64, u32::MAX);
        }
        if self.places[path as usize] == u32::MAX {
            self.places[path as usize] = self.list.path_keys.len() as u32;
            self.list.path_keys.push(self.epoch.wrapping_add(path));
            self.paths.write(path, &mut self.list.path_data);
            self.list.path_offsets.push(self.list.path_data.len() as u32);
        }
        self.list.events.push(self.row);
        self.list.ids.push(self.base + node.id());
        self.list.kinds.push(kind);
        self.list.paths.push(self.places[path as usize]);
        node.append_text(&mut self.list.data);
        self.list.offsets.push(self.list.data.len() as u32);
    }
}
