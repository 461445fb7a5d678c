//! `tamis plugin …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use host_kit::{Language, Template};
use host_pipeline::StageKind;

pub(super) const EXAMPLES: &str = "\
Examples:
  tamis plugin new drop-noisy --kind filter --lang python
  tamis plugin test drop-noisy
  tamis plugin build drop-noisy
  tamis plugin inspect drop-noisy/target/drop-noisy.wasm

How to write one, in each language: docs/plugins";

#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Begin a plugin: a folder that builds, passes its tests and is ready to commit
    #[command(
        long_about = "Makes a folder with a plugin of that kind in that language: source, native test, golden events, README, pinned versions \
            of its tools, a CI workflow, and in `sdk/` the SDK, so that it is whole. What is in it builds and passes its tests; \
            begin by changing it.\n\n\
            The kinds: a filter drops events, a sampler gives them rates, a scrubber edits what must not be kept, a \
            fingerprinter says which events are the same.",
        after_help = "Examples:\n  tamis plugin new drop-noisy --kind filter --lang rust\n  tamis plugin new vip-first --kind sampler --lang ts --dir plugins/vip"
    )]
    New(New),
    /// Renew the SDK in the folder of a plugin from this binary
    #[command(
        long_about = "Replaces `sdk/` in the folder of a plugin by the SDK of this binary. Nothing else in the folder is touched. What changed, \
            the author's version control shows.",
        after_help = "Example:\n  tamis plugin upgrade drop-noisy"
    )]
    Upgrade(Upgrade),
    /// Build a plugin into a component that imports nothing but Tamis
    #[command(
        long_about = "Builds the plugin in DIR, in the language that its plugin.toml names (rust, go, python, js, c, zig), into a component \
            that imports nothing but Tamis, and prints its size and the time it took. What the compiler says goes to stderr \
            as it is. If the toolchain is missing, the error is the one command that installs it.\n\n\
            Of a file, a core module that any other compiler has made, it makes the component.",
        after_help = "Examples:\n  tamis plugin build drop-noisy\n  tamis plugin build plugins/inbound-filters --out target/plugins\n  \
            tamis plugin build drop-noisy.core.wasm --kind filter\n\n\
            A crate in Rust needs no plugin.toml. The component keeps the names of its functions, for backtraces."
    )]
    Build(Build),
    /// Write bindings in C, for a language without an SDK
    #[command(
        long_about = "Writes the interface of a kind of plugin as bindings in C (a header, its source, and an object file that says the \
            world), as wit-bindgen makes them, for any language that can call C; and beside them the WIT itself, for a \
            language with a generator of its own. What its compiler makes of them, `tamis plugin build FILE` encodes.",
        after_help = "Example:\n  tamis plugin bindings --kind filter --out gen\n\nHow to go on: docs/plugins/any.md"
    )]
    Bindings(Bindings),
    /// Say what a component is: world, imports, size, what it asks for
    #[command(
        long_about = "Says what a component is, without running it: its kind, which is also its world, its size, what it imports and \
            exports, and what it asks to read and edit. Exit code 1 if a host would refuse it, with the reason.",
        after_help = "Example:\n  tamis plugin inspect target/plugins/inbound-filters.wasm --json"
    )]
    Inspect(Inspect),
    /// Show what a plugin would pull of golden events
    #[command(
        long_about = "Shows what a plugin would pull of golden events: the host's own columns, for the native tests of SDKs and to try a \
            path or a selector. A line of JSON for each pull. Exit code 1 if a path or selector can not be parsed.\n\n\
            With --raw the answer is binary and little-endian: for each pull a byte of status (1 is an error, followed by \
            its message as a list of bytes), then the lists of the WIT record in its order, each as a u32 number of \
            elements and the elements.",
        after_help = "Example:\n  tamis plugin columns tests/error.json --pull strings:exception.values.*.type --pull 'leaves:$error.value'"
    )]
    Columns(Columns),
    /// Run a plugin over golden events and compare its answers with the expected ones
    #[command(
        long_about = "Builds the plugin, runs the component as a host would, with the real limits and with the grants it asks for, over \
            tests/*.json, and compares its answers with tests/*.expect.json. Shows what differs, and for an event that a \
            call fails on the functions and lines of the plugin, and what it wrote.\n\n\
            Every file is run as one batch, the same again, in two halves, and event by event: an answer must depend on \
            nothing but its event. A stage's configuration is tests/NAME.config.json, else tests/config.json, else {}. \
            Exit code 1 if a file fails.",
        after_help = "Examples:\n  tamis plugin test drop-noisy\n  tamis plugin test drop-noisy.wasm --filter chrome --update"
    )]
    Test(Test),
    /// Run one event through a plugin: what it pulled, answered and wrote
    #[command(
        long_about = "Runs one event, or a few as one batch, through a component, and shows what it pulled, what it answered, what it wrote, \
            how long it took and how much memory it has. Exit code 1 if it gives no answer.",
        after_help = "Examples:\n  tamis plugin run drop-noisy.wasm tests/error.json\n  \
            echo '{\"release\":\"1.0\"}' | tamis plugin run drop-noisy.wasm --config '{\"releases\":[\"1.0\"]}'"
    )]
    Run(RunOne),
    /// Measure what a plugin costs
    #[command(
        long_about = "Measures a plugin in batches of 1 to 1,024 events, in turn with a plugin that does nothing and with the host's own \
            extraction of the same columns: nanoseconds of processor time per event, medians. Also what it pulls, its \
            memory, and what its start costs. Without --events it is asked about errors and transactions that come with \
            Tamis.",
        after_help = "Examples:\n  tamis plugin bench drop-noisy\n  tamis plugin bench drop-noisy.wasm --events production.jsonl --config config.json"
    )]
    Bench(Bench),
}

#[derive(Debug, Args)]
pub struct New {
    /// Its name: a-z, 0-9 and -
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it does
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// What it is written in
    #[arg(long, value_parser = template, value_name = "rust|go|python|js|ts|c|zig")]
    pub lang: Template,
    /// The folder, if it shall not be NAME
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    Filter,
    Sampler,
    Scrubber,
    Fingerprinter,
}

impl From<Kind> for StageKind {
    fn from(kind: Kind) -> StageKind {
        match kind {
            Kind::Filter => StageKind::Filter,
            Kind::Sampler => StageKind::Sampler,
            Kind::Scrubber => StageKind::Scrubber,
            Kind::Fingerprinter => StageKind::Fingerprinter,
        }
    }
}

fn template(name: &str) -> Result<Template, String> {
    let template = match name {
        "typescript" => Some(Template::TypeScript),
        "javascript" => Some(Template::Of(Language::Js)),
        "golang" => Some(Template::Of(Language::Go)),
        _ => Template::ALL.into_iter().find(|template| template.as_str() == name),
    };
    let names = || Template::ALL.map(Template::as_str).join(", ");
    template
        .ok_or_else(|| format!("must be one of {} (for any other language see docs/plugins/any.md)", names()))
}

#[derive(Debug, Args)]
pub struct Upgrade {
    /// The folder of the plugin
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The folder of the plugin, or its component
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub plugin: PathBuf,
    /// Write what the plugin answers as what is expected
    #[arg(long)]
    pub update: bool,
    /// Only files with this in their names
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Where the golden events are, if not in `tests` in the folder of the plugin
    #[arg(long, value_name = "DIR")]
    pub tests: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunOne {
    /// The component, or the folder of the plugin
    #[arg(value_name = "FILE")]
    pub plugin: PathBuf,
    /// A file of golden events; `-` is standard input
    #[arg(value_name = "EVENT", default_value = "-")]
    pub events: PathBuf,
    /// The stage's configuration: a file, or JSON that begins with `{` [default: tests/config.json of the plugin, else {}]
    #[arg(long, value_name = "FILE|JSON")]
    pub config: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// The folder of the plugin, or its component
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub plugin: PathBuf,
    /// Events of your own: a file of golden events
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// The stage's configuration: a file, or JSON that begins with `{` [default: tests/config.json of the plugin, else {}]
    #[arg(long, value_name = "FILE|JSON")]
    pub config: Option<String>,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Columns {
    /// Golden events: one event, an array of them, or one on each line; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// len:, strings:PATH, numbers:PATH, json:PATH, counts:PATH or leaves:SELECTOR; may be given several times
    #[arg(long = "pull", value_name = "OP:ARG", required = true)]
    pub pulls: Vec<host_kit::Pull>,
    /// Print the columns as SDKs read them, in binary
    #[arg(long)]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct Build {
    /// The folder of the plugin, or a core module
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub plugin: PathBuf,
    /// Of which kind a core module is that does not say its world
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Where NAME.wasm goes, if not to `target` in the folder of the plugin, or beside the core module
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print what was built as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Bindings {
    /// What the plugin does
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The folder for them
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}
