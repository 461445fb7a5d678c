//! Columns that hold several things per row: tags, fingerprints, exceptions with their frames.
//!
//! No struct in them is ever null and no map has a key twice: some engines refuse either.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use host_event::{Kind, NodeRef};

use crate::columns::{Build, Filled, MaybeFlag, MaybeInt, MaybeText, NO_NULLS, Real, Rows, Text, array_of};
use crate::wire::{fields, finite, members};

/// Entries of one map. Sentry allows 200 tags; what goes beyond stays in the payload.
const MAP_ENTRIES_MAX: usize = 512;

/// A map from text to text, keys in the order in which they came, the last value of a key that comes twice.
#[derive(Default)]
pub(crate) struct TextMap {
    rows: Rows,
    keys: Text,
    values: Text,
}

/// An entry before it is written: a hash makes finding a twin cheap.
struct Entry<'a, V> {
    hash: u64,
    key: Cow<'a, str>,
    value: V,
}

/// Adds what has a value; the last of a key that comes twice.
fn add_entries<'a, V>(
    entries: &mut Vec<Entry<'a, V>>,
    node: Option<NodeRef<'a>>,
    value_of: impl Fn(NodeRef<'a>) -> Option<V>,
) {
    for (key, value) in node.into_iter().flat_map(members).take(MAP_ENTRIES_MAX) {
        let (Some(key), Some(value)) = (key.as_text(), value_of(value)) else { continue };
        let hash = hash_of(key.as_bytes());
        match entries.iter_mut().find(|e| e.hash == hash && e.key == key) {
            Some(twin) => twin.value = value,
            None => entries.push(Entry { hash, key, value }),
        }
    }
}

impl TextMap {
    /// An object, or a list of `[key, value]` pairs.
    pub(crate) fn push(&mut self, node: Option<NodeRef<'_>>) {
        self.push_with(node, text_or_json);
    }

    /// An object whose values are `{"value": …, "type": …}`.
    pub(crate) fn push_attributes(&mut self, node: Option<NodeRef<'_>>) {
        self.push_with(node, |value| value.get("value").and_then(text_or_json));
    }

    fn push_with<'a>(
        &mut self,
        node: Option<NodeRef<'a>>,
        text: impl Fn(NodeRef<'a>) -> Option<Cow<'a, str>>,
    ) {
        let mut entries = Vec::new();
        add_entries(&mut entries, node, text);
        for entry in &entries {
            self.keys.push(&entry.key);
            self.values.push(&entry.value);
        }
        self.rows.end(self.keys.len());
    }
}

/// A map from text to number, for what needs no cast to be compared.
#[derive(Default)]
pub(crate) struct NumberMap {
    rows: Rows,
    keys: Text,
    values: Real,
}

impl NumberMap {
    /// The numbers among the values of `plain`, and among the `value`s of the objects in `valued`.
    pub(crate) fn push(&mut self, plain: Option<NodeRef<'_>>, valued: Option<NodeRef<'_>>) {
        let mut entries = Vec::new();
        add_entries(&mut entries, plain, |value| finite(Some(value)));
        add_entries(&mut entries, valued, |value| finite(value.get("value")));
        for entry in &entries {
            self.keys.push(&entry.key);
            self.values.push(entry.value);
        }
        self.rows.end(self.keys.len());
    }
}

impl Build for NumberMap {
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        DataType::Map(map_entries(DataType::Float64), false)
    }
    fn bytes(&self) -> usize {
        self.rows.bytes() + self.keys.bytes() + self.values.bytes()
    }
    fn finish(self) -> Filled {
        map_array(DataType::Float64, self.rows, self.keys, array_of(self.values))
    }
}

/// FNV-1a, eight bytes wide.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

fn text_or_json(value: NodeRef<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::Null => None,
        Kind::Array | Kind::Object => Some(String::from_utf8_lossy(value.raw())),
        _ => value.as_text(),
    }
}

impl Build for TextMap {
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        DataType::Map(map_entries(DataType::Utf8), false)
    }
    fn bytes(&self) -> usize {
        self.rows.bytes() + self.keys.bytes() + self.values.bytes()
    }
    fn finish(self) -> Filled {
        map_array(DataType::Utf8, self.rows, self.keys, Arc::new(self.values.array()))
    }
}

fn map_array(value: DataType, rows: Rows, keys: Text, values: ArrayRef) -> Filled {
    let entries = StructArray::new(map_fields(value.clone()), vec![Arc::new(keys.array()), values], NO_NULLS);
    Filled::Array(Arc::new(MapArray::new(map_entries(value), rows.offsets(), entries, NO_NULLS, false)))
}

fn map_fields(value: DataType) -> Fields {
    vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, false)].into()
}

fn map_entries(value: DataType) -> FieldRef {
    Arc::new(Field::new("key_value", DataType::Struct(map_fields(value)), false))
}

/// `list<struct {variant, hash}>`
#[derive(Default)]
pub(crate) struct Fingerprints {
    rows: Rows,
    variants: Text,
    hashes: Text,
}

impl Fingerprints {
    pub(crate) fn push(&mut self, fingerprints: &[(String, String)]) {
        for (variant, hash) in fingerprints {
            self.variants.push(variant);
            self.hashes.push(hash);
        }
        self.rows.end(self.hashes.len());
    }

    fn fields() -> Fields {
        vec![Field::new("variant", DataType::Utf8, false), Field::new("hash", DataType::Utf8, false)].into()
    }
}

impl Build for Fingerprints {
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        list_of(Self::fields())
    }
    fn bytes(&self) -> usize {
        self.rows.bytes() + self.variants.bytes() + self.hashes.bytes()
    }
    fn finish(self) -> Filled {
        let columns: Vec<ArrayRef> = vec![Arc::new(self.variants.array()), Arc::new(self.hashes.array())];
        Filled::Array(Arc::new(list_array(Self::fields(), self.rows, columns)))
    }
}

fn element(fields: Fields) -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(fields), false))
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(element(fields))
}

fn list_array(fields: Fields, rows: Rows, columns: Vec<ArrayRef>) -> ListArray {
    let values = StructArray::new(fields.clone(), columns, NO_NULLS);
    ListArray::new(element(fields), rows.offsets(), Arc::new(values), NO_NULLS)
}

/// `list<struct {type, value, module, mechanism, handled, frames: list<struct {…}>}>`
#[derive(Default)]
pub(crate) struct Exceptions {
    rows: Rows,
    kinds: MaybeText,
    values: MaybeText,
    modules: MaybeText,
    mechanisms: MaybeText,
    handled: MaybeFlag,
    frames: Frames,
}

fields! {
    struct ExceptionFields {
        kind = b"type",
        value = b"value",
        module = b"module",
        mechanism = b"mechanism",
        stacktrace = b"stacktrace",
    }
}

impl Exceptions {
    /// `exception.values`, or `exception` where it is the list itself. Says whether the error was handled, if that is known:
    /// one exception of the chain that was not makes it unhandled.
    pub(crate) fn push(&mut self, exception: Option<NodeRef<'_>>) -> Option<bool> {
        let list = exception.map(|e| e.get("values").unwrap_or(e));
        let mut all_handled = None;
        for node in list.iter().flat_map(|l| l.items()).filter(|n| n.kind() == Kind::Object) {
            let handled = self.push_one(node);
            all_handled = match (all_handled, handled) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (known, new) => new.or(known),
            };
        }
        self.rows.end(self.kinds.len());
        all_handled
    }

    fn push_one(&mut self, node: NodeRef<'_>) -> Option<bool> {
        let f = ExceptionFields::of(node);
        let handled = f.mechanism.and_then(|m| m.get("handled")).and_then(NodeRef::as_bool);
        self.kinds.push_node(f.kind);
        self.values.push_node(f.value);
        self.modules.push_node(f.module);
        self.mechanisms.push_node(f.mechanism.and_then(|m| m.get("type")));
        self.handled.push(handled);
        self.frames.push(f.stacktrace.and_then(|s| s.get("frames")));
        handled
    }

    fn fields() -> Fields {
        vec![
            Field::new("type", DataType::Utf8, true),
            Field::new("value", DataType::Utf8, true),
            Field::new("module", DataType::Utf8, true),
            Field::new("mechanism", DataType::Utf8, true),
            Field::new("handled", DataType::Boolean, true),
            Field::new("frames", list_of(Frames::fields()), false),
        ]
        .into()
    }
}

impl Build for Exceptions {
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        list_of(Self::fields())
    }
    fn bytes(&self) -> usize {
        let texts = [&self.kinds, &self.values, &self.modules, &self.mechanisms];
        self.rows.bytes() + texts.iter().map(|t| t.bytes()).sum::<usize>() + self.frames.bytes()
    }
    fn finish(self) -> Filled {
        let columns = vec![
            array_of(self.kinds),
            array_of(self.values),
            array_of(self.modules),
            array_of(self.mechanisms),
            array_of(self.handled),
            self.frames.array(),
        ];
        Filled::Array(Arc::new(list_array(Self::fields(), self.rows, columns)))
    }
}

#[derive(Default)]
struct Frames {
    rows: Rows,
    modules: MaybeText,
    functions: MaybeText,
    filenames: MaybeText,
    abs_paths: MaybeText,
    lines: MaybeInt,
    columns: MaybeInt,
    in_app: MaybeFlag,
}

fields! {
    struct FrameFields {
        module = b"module",
        function = b"function",
        filename = b"filename",
        abs_path = b"abs_path",
        lineno = b"lineno",
        colno = b"colno",
        in_app = b"in_app",
    }
}

impl Frames {
    fn push(&mut self, frames: Option<NodeRef<'_>>) {
        for frame in frames.iter().flat_map(|l| l.items()).filter(|n| n.kind() == Kind::Object) {
            let f = FrameFields::of(frame);
            self.modules.push_node(f.module);
            self.functions.push_node(f.function);
            self.filenames.push_node(f.filename);
            self.abs_paths.push_node(f.abs_path);
            self.lines.push(f.lineno.and_then(NodeRef::as_i64));
            self.columns.push(f.colno.and_then(NodeRef::as_i64));
            self.in_app.push(f.in_app.and_then(NodeRef::as_bool));
        }
        self.rows.end(self.modules.len());
    }

    fn bytes(&self) -> usize {
        let texts = [&self.modules, &self.functions, &self.filenames, &self.abs_paths];
        self.rows.bytes() + texts.iter().map(|t| t.bytes()).sum::<usize>() + self.lines.bytes() * 2
    }

    fn fields() -> Fields {
        let text = |name| Field::new(name, DataType::Utf8, true);
        vec![
            text("module"),
            text("function"),
            text("filename"),
            text("abs_path"),
            Field::new("lineno", DataType::Int64, true),
            Field::new("colno", DataType::Int64, true),
            Field::new("in_app", DataType::Boolean, true),
        ]
        .into()
    }

    fn array(self) -> ArrayRef {
        let columns = vec![
            array_of(self.modules),
            array_of(self.functions),
            array_of(self.filenames),
            array_of(self.abs_paths),
            array_of(self.lines),
            array_of(self.columns),
            array_of(self.in_app),
        ];
        Arc::new(list_array(Self::fields(), self.rows, columns))
    }
}
