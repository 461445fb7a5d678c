//! Writes hostile guests: a well-behaved module of each kind, of which a row replaces the part that it wants to be bad.

use host_pipeline::StageKind;

/// A core module to be, in the text format.
#[derive(Clone)]
pub struct Guest {
    pub kind: StageKind,
    pages: String,
    items: String,
    realloc: String,
    init: String,
    call: String,
}

/// Where a guest's lists of the answer stand: pairs of address and length, in the order of the WIT.
const PRELUDE: &str = r#"
  (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
  (import "tamis:plugin/batch@0.1.0" "strings" (func $strings (param i32 i32 i32)))
  (import "tamis:plugin/batch@0.1.0" "numbers" (func $numbers (param i32 i32 i32)))
  (import "tamis:plugin/batch@0.1.0" "json" (func $json (param i32 i32 i32)))
  (import "tamis:plugin/batch@0.1.0" "counts" (func $counts (param i32 i32 i32)))
  (import "tamis:plugin/batch@0.1.0" "leaves" (func $leaves (param i32 i32 i32)))
  (import "tamis:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (data (i32.const 16) "message")
  (data (i32.const 32) "**")
  (data (i32.const 40) "rule")
  (global $next (mut i32) (i32.const 65536))
  (func $alloc (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get $size)) (i32.const 15)) (i32.const -8)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (br $more)))
    (local.get $at))
  ;; List number `slot` of the answer.
  (func $list (param $slot i32) (param $at i32) (param $count i32)
    (i32.store offset=256 (i32.mul (local.get $slot) (i32.const 8)) (local.get $at))
    (i32.store offset=260 (i32.mul (local.get $slot) (i32.const 8)) (local.get $count)))
  ;; A list of strings at 640: entry number `slot`.
  (func $text (param $slot i32) (param $at i32) (param $size i32)
    (i32.store offset=640 (i32.mul (local.get $slot) (i32.const 8)) (local.get $at))
    (i32.store offset=644 (i32.mul (local.get $slot) (i32.const 8)) (local.get $size)))
  (func $all32 (param $count i32) (param $value i32) (result i32) (local $at i32) (local $i i32)
    (local.set $at (call $alloc (i32.mul (local.get $count) (i32.const 4))))
    (block $done (loop $each
      (br_if $done (i32.eq (local.get $i) (local.get $count)))
      (i32.store (i32.add (local.get $at) (i32.mul (local.get $i) (i32.const 4))) (local.get $value))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
    (local.get $at))
  (func $all64 (param $count i32) (param $value f64) (result i32) (local $at i32) (local $i i32)
    (local.set $at (call $alloc (i32.mul (local.get $count) (i32.const 8))))
    (block $done (loop $each
      (br_if $done (i32.eq (local.get $i) (local.get $count)))
      (f64.store (i32.add (local.get $at) (i32.mul (local.get $i) (i32.const 8))) (local.get $value))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
    (local.get $at))
  ;; Asks for all leaves, and makes edits of the first `count` of them: whole values removed by `rule`.
  (func $edit (param $count i32)
    (call $leaves (i32.const 32) (i32.const 2) (i32.const 512))
    (call $list (i32.const 0) (i32.load (i32.const 520)) (local.get $count))
    (call $list (i32.const 1) (call $all32 (local.get $count) (i32.const 0)) (local.get $count))
    (call $list (i32.const 2) (call $all32 (local.get $count) (i32.const 0)) (local.get $count))
    (call $list (i32.const 3) (call $all32 (local.get $count) (i32.const -1)) (local.get $count))
    (call $list (i32.const 4) (call $all32 (local.get $count) (i32.const 0)) (local.get $count))
    (call $list (i32.const 5) (call $all32 (local.get $count) (i32.const 0)) (local.get $count))
    (call $text (i32.const 0) (i32.const 40) (i32.const 4))
    (call $list (i32.const 6) (i32.const 640) (i32.const 1)))
"#;

/// The function of a kind, and what it does to have no opinion.
fn function(kind: StageKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        StageKind::Filter => (
            "tamis:plugin/filtering@0.1.0",
            "filter",
            "(call $list (i32.const 0) (call $all32 (local.get $n) (i32.const 0)) (local.get $n))
             (call $list (i32.const 1) (i32.const 0) (i32.const 0))",
        ),
        StageKind::Sampler => (
            "tamis:plugin/sampling@0.1.0",
            "sample",
            "(call $list (i32.const 0) (call $all64 (local.get $n) (f64.const 1)) (local.get $n))
             (call $list (i32.const 1) (call $all32 (local.get $n) (i32.const 0)) (local.get $n))
             (call $list (i32.const 2) (i32.const 0) (i32.const 0))",
        ),
        StageKind::Scrubber => (
            "tamis:plugin/scrubbing@0.1.0",
            "scrub",
            "(memory.fill (i32.const 256) (i32.const 0) (i32.const 56))",
        ),
        StageKind::Fingerprinter => (
            "tamis:plugin/fingerprinting@0.1.0",
            "fingerprint",
            "(memory.fill (i32.const 256) (i32.const 0) (i32.const 40))
             (call $list (i32.const 0) (call $all32 (local.get $n) (i32.const 0)) (local.get $n))",
        ),
    }
}

impl Guest {
    pub fn new(kind: StageKind) -> Guest {
        Guest {
            kind,
            pages: "2".into(),
            items: String::new(),
            realloc: "(call $alloc (local.get $size))".into(),
            init: String::new(),
            call: String::new(),
        }
    }

    /// What the type of its memory says.
    pub fn pages(self, pages: &str) -> Guest {
        Guest { pages: pages.into(), ..self }
    }

    /// Further items of the module: data, functions, tables.
    pub fn item(mut self, item: impl AsRef<str>) -> Guest {
        self.items += item.as_ref();
        self
    }

    /// A text at an address.
    pub fn data(self, at: u32, text: &str) -> Guest {
        let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        self.item(format!("(data (i32.const {at}) \"{bytes}\")"))
    }

    /// Instructions that give an address for `$size` bytes.
    pub fn realloc(self, instructions: &str) -> Guest {
        Guest { realloc: instructions.into(), ..self }
    }

    /// Instructions before `init` says that all is well.
    pub fn init(self, instructions: &str) -> Guest {
        Guest { init: instructions.into(), ..self }
    }

    /// Instructions between the answer of no opinion and its return. `$n` is the number of events; `$i` and `$p` are free.
    pub fn call(self, instructions: impl AsRef<str>) -> Guest {
        Guest { call: instructions.as_ref().into(), ..self }
    }

    /// Instructions that are run again and again.
    pub fn forever(self, instructions: &str) -> Guest {
        self.call(format!("(loop $l {instructions} (br $l))"))
    }

    pub fn text(&self) -> String {
        let (interface, function, neutral) = function(self.kind);
        let Guest { pages, items, realloc, init, call, .. } = self;
        format!(
            r#"(module $guest {PRELUDE} (memory (export "memory") {pages}) {items}
            (func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) {realloc})
            (func $init (export "{interface}#init") (param $config i32) (param $bytes i32) (result i32)
                (local $i i32) {init} (i32.const 128))
            (func $call (export "{interface}#{function}") (result i32) (local $n i32) (local $i i32) (local $p i32)
                (global.set $next (i32.const 65536))
                (local.set $n (call $len))
                {neutral} {call} (i32.const 256)))"#
        )
    }

    pub fn module(&self) -> Vec<u8> {
        wat::parse_str(self.text()).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn component(&self) -> Vec<u8> {
        host_kit::encode_as(self.kind, &self.module()).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// The name of the function that is run when an answer has been read.
pub fn post_return(kind: StageKind) -> String {
    let (interface, function, _) = function(kind);
    format!("cabi_post_{interface}#{function}")
}

/// A component with a core module that exports `init`, `call`, `memory` and `realloc`, as the module of a filter; `around` comes
/// before it and `within` between the module and its interface.
pub fn filter_component(around: &str, module: &str, with: &str, within: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {around}
            (core module $m {module})
            (core instance $c (instantiate $m {with}))
            {within}
            (type $verdicts-type (record (field "verdicts" (list u32)) (field "reasons" (list string))))
            (func $init (param "config" string) (result (result (error string)))
                (canon lift (core func $c "init") (memory (core memory $c "memory")) (realloc (core func $c "realloc"))))
            (component $shim
                (type $v (record (field "verdicts" (list u32)) (field "reasons" (list string))))
                (import "verdicts" (type $verdicts (eq $v)))
                (import "init" (func $init (param "config" string) (result (result (error string)))))
                (import "filter" (func $filter (result $verdicts)))
                (export $out "verdicts" (type $v))
                (export "init" (func $init))
                (export "filter" (func $filter) (func (result $out))))
            (func $filter (result $verdicts-type)
                (canon lift (core func $c "call") (memory (core memory $c "memory")) (realloc (core func $c "realloc"))))
            (instance $i (instantiate $shim
                (with "verdicts" (type $verdicts-type)) (with "init" (func $init)) (with "filter" (func $filter))))
            (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}"))
}

/// What a core module for [`filter_component`] needs beside its `call`; there is no `len`, so it can not answer for any batch.
pub fn bare_module(imports: &str, call: &str) -> String {
    format!(
        r#"{imports} (memory (export "memory") 2)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "init") (param i32 i32) (result i32) (i32.const 128))
        (func $call (export "call") (result i32) {call} (i32.const 256))"#
    )
}
