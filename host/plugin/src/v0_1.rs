//! Track 0.1 of the interface: what a guest may call, what the host calls, and the translation of both.
//!
//! A later track gets a module of its own beside this one, so that what was released stays as it is.

use std::borrow::Cow;

use host_event::limits::PATH_BYTES_MAX;
use host_pipeline::{Answer, StageKind};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, TypedFunc, WasmStr,
};
use wasmtime::{Engine, Store, StoreContextMut};

use crate::answers::{self, EditRoom, WriteGrant};
use crate::failure::Objection;
use crate::host::{Host, Level};
use crate::limits::{LOG_LINE_BYTES_MAX, PATH_SEGMENTS_MAX, export_of};
use crate::text;

#[derive(ComponentType, Lower)]
#[component(record)]
struct Texts {
    presence: Vec<u8>,
    offsets: Vec<u32>,
    data: Vec<u8>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Reals {
    presence: Vec<u8>,
    values: Vec<f64>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct LeafList {
    events: Vec<u32>,
    ids: Vec<u32>,
    kinds: Vec<u8>,
    paths: Vec<u32>,
    offsets: Vec<u32>,
    data: Vec<u8>,
    #[component(name = "path-offsets")]
    path_offsets: Vec<u32>,
    #[component(name = "path-data")]
    path_data: Vec<u8>,
    #[component(name = "path-keys")]
    path_keys: Vec<u32>,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only lifting makes them")]
enum LogLevel {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Verdicts {
    pub(crate) verdicts: Vec<u32>,
    pub(crate) reasons: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rates {
    pub(crate) rates: Vec<f64>,
    #[component(name = "decided-by")]
    pub(crate) decided_by: Vec<u32>,
    pub(crate) rules: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Edits {
    pub(crate) leaf: Vec<u32>,
    pub(crate) op: Vec<u8>,
    pub(crate) start: Vec<u32>,
    pub(crate) end: Vec<u32>,
    pub(crate) text: Vec<u32>,
    pub(crate) rule: Vec<u32>,
    pub(crate) strings: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Fingerprints {
    pub(crate) counts: Vec<u32>,
    pub(crate) kind: Vec<u32>,
    pub(crate) offsets: Vec<u32>,
    pub(crate) data: Vec<u8>,
    pub(crate) kinds: Vec<String>,
}

/// A component whose imports are satisfied and whose exports are found.
pub(crate) struct Linked {
    pre: InstancePre<Host>,
    kind: StageKind,
    init: ComponentExportIndex,
    call: ComponentExportIndex,
}

/// A live guest.
pub(crate) struct Guest {
    init: TypedFunc<(String,), (Result<(), String>,)>,
    call: Call,
}

enum Call {
    Filter(TypedFunc<(), (Verdicts,)>),
    Sample(TypedFunc<(), (Rates,)>),
    Scrub(TypedFunc<(), (Edits,)>),
    Fingerprint(TypedFunc<(), (Fingerprints,)>),
}

impl Linked {
    pub(crate) fn new(engine: &Engine, component: &Component, kind: StageKind) -> wasmtime::Result<Linked> {
        let mut linker = Linker::new(engine);
        link_batch(&mut linker)?;
        link_log(&mut linker)?;
        let pre = linker.instantiate_pre(component)?;
        let name = format!("{}@0.1.0", export_of(kind));
        let missing = |what: &str| wasmtime::Error::msg(format!("{name} has no function {what}"));
        let interface = component.get_export_index(None, &name).ok_or_else(|| missing("at all"))?;
        let find = |function: &str| {
            component.get_export_index(Some(&interface), function).ok_or_else(|| missing(function))
        };
        let (init, call) = (find("init")?, find(call_name(kind))?);
        Ok(Linked { pre, kind, init, call })
    }

    pub(crate) fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<Guest> {
        let instance = self.pre.instantiate(&mut *store)?;
        let init = instance.get_typed_func(&mut *store, self.init)?;
        let call = match self.kind {
            StageKind::Filter => Call::Filter(instance.get_typed_func(store, self.call)?),
            StageKind::Sampler => Call::Sample(instance.get_typed_func(store, self.call)?),
            StageKind::Scrubber => Call::Scrub(instance.get_typed_func(store, self.call)?),
            StageKind::Fingerprinter => Call::Fingerprint(instance.get_typed_func(store, self.call)?),
        };
        Ok(Guest { init, call })
    }
}

impl Guest {
    pub(crate) fn init(&self, store: &mut Store<Host>, config: &str) -> wasmtime::Result<Result<(), String>> {
        let (answer,) = self.init.call(store, (config.to_owned(),))?;
        Ok(answer)
    }

    /// Asks about the batch in the store and checks the answer in full.
    pub(crate) fn call(
        &self,
        store: &mut Store<Host>,
        writes: &WriteGrant,
        room: EditRoom,
    ) -> wasmtime::Result<Answer> {
        let answer = match &self.call {
            Call::Filter(call) => answers::filter(call.call(&mut *store, ())?.0, &store.data().columns),
            Call::Sample(call) => answers::sample(call.call(&mut *store, ())?.0, &store.data().columns),
            Call::Scrub(call) => {
                answers::scrub(&call.call(&mut *store, ())?.0, &store.data().columns, writes, room)
            }
            Call::Fingerprint(call) => {
                answers::fingerprint(&call.call(&mut *store, ())?.0, &store.data().columns)
            }
        };
        answer.map_err(wasmtime::Error::new)
    }
}

fn call_name(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Filter => "filter",
        StageKind::Sampler => "sample",
        StageKind::Scrubber => "scrub",
        StageKind::Fingerprinter => "fingerprint",
    }
}

type Context<'a> = StoreContextMut<'a, Host>;

/// Host functions of one path or selector.
fn link_batch(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut batch = linker.instance("tamis:plugin/batch@0.1.0")?;
    batch.func_wrap("len", |mut store: Context<'_>, (): ()| Ok((store.data_mut().len()?,)))?;
    batch.func_wrap("strings", |mut store: Context<'_>, (path,): (WasmStr,)| {
        let path = short_path(path.to_str(&store)?)?;
        Ok((Texts::from(store.data_mut().strings(&path)?),))
    })?;
    batch.func_wrap("joined", |mut store: Context<'_>, (path,): (WasmStr,)| {
        let path = short_path(path.to_str(&store)?)?;
        Ok((store.data_mut().joined(&path)?,))
    })?;
    batch.func_wrap("numbers", |mut store: Context<'_>, (path,): (WasmStr,)| {
        let path = short_path(path.to_str(&store)?)?;
        let host_event::Reals { presence, values } = store.data_mut().numbers(&path)?;
        Ok((Reals { presence, values },))
    })?;
    batch.func_wrap("json", |mut store: Context<'_>, (path,): (WasmStr,)| {
        let path = short_path(path.to_str(&store)?)?;
        Ok((Texts::from(store.data_mut().json(&path)?),))
    })?;
    batch.func_wrap("counts", |mut store: Context<'_>, (path,): (WasmStr,)| {
        let path = short_path(path.to_str(&store)?)?;
        Ok((store.data_mut().counts(&path)?,))
    })?;
    batch.func_wrap("leaves", |mut store: Context<'_>, (selector,): (WasmStr,)| {
        let selector = short("selector", selector.to_str(&store)?)?;
        Ok((LeafList::from(store.data_mut().leaves(&selector)?),))
    })
}

/// What is too long is not even copied.
fn short(what: &str, text: Cow<'_, str>) -> Result<String, Objection> {
    match text.len() {
        0..=PATH_BYTES_MAX => Ok(text.into_owned()),
        bytes => {
            let max = format!("longer than {PATH_BYTES_MAX} (path_bytes_max)");
            Err(Objection::Path(format!("a {what} of {bytes} bytes, {max}: {:?}", text::cut(&text, 40))))
        }
    }
}

fn short_path(text: Cow<'_, str>) -> Result<String, Objection> {
    let path = short("path", text)?;
    // A dot in quotes is none between segments, but no real path has as many.
    match path.bytes().filter(|byte| *byte == b'.').count() {
        dots if dots < PATH_SEGMENTS_MAX => Ok(path),
        dots => {
            let max = format!("more than {PATH_SEGMENTS_MAX} (path_segments_max)");
            Err(Objection::Path(format!(
                "a path of {} segments, {max}: {:?}",
                dots + 1,
                text::cut(&path, 40)
            )))
        }
    }
}

fn link_log(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut log = linker.instance("tamis:plugin/log@0.1.0")?;
    log.func_wrap("log", |mut store: Context<'_>, (level, message): (LogLevel, WasmStr)| {
        let message = message.to_str(&store)?;
        let line = message[..message.floor_char_boundary(LOG_LINE_BYTES_MAX)].to_owned();
        let level = match level {
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
        };
        store.data_mut().log(level, &line);
        Ok(())
    })
}

impl From<host_event::Texts> for Texts {
    fn from(texts: host_event::Texts) -> Texts {
        let host_event::Texts { presence, offsets, data } = texts;
        Texts { presence, offsets, data }
    }
}

impl From<host_event::LeafList> for LeafList {
    fn from(list: host_event::LeafList) -> LeafList {
        let host_event::LeafList {
            events,
            ids,
            kinds,
            paths,
            offsets,
            data,
            path_offsets,
            path_data,
            path_keys,
        } = list;
        LeafList { events, ids, kinds, paths, offsets, data, path_offsets, path_data, path_keys }
    }
}
