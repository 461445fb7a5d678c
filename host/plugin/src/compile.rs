//! Turns a component into native code, in a child process: what a compiler does with hostile input is bounded by no
//! setting of its own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::COMPONENT_BYTES_MAX;
use crate::runtime::{DebugSections, chain, engine};

/// Memory that the compiler may use. A Python component takes 530 MB.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Processor time of the compiler, all its threads together. A Python component takes 13 s.
pub const COMPILE_CPU_SECONDS_MAX: u64 = 120;
/// How long the host waits for the compiler.
pub const COMPILE_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes of native code that are taken from the compiler.
pub const ARTEFACT_BYTES_MAX: u64 = 1 << 30;
/// The compiler uses every core that nobody else wants.
const LOWEST_PRIORITY: i32 = 19;
/// Bytes of the compiler's complaints that are shown.
const STDERR_BYTES_MAX: u64 = 2 << 10;

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compile {
    /// In a process that calls [`compile_child_main`].
    Child(CompileCommand),
    /// In this one: for tools and tests that trust the component.
    InProcess,
}

/// How this very program is called to become the compiler.
#[derive(Debug, Clone)]
pub struct CompileCommand {
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl Compile {
    /// Gives the native code, or what is wrong. `dir` is for files on the way.
    pub(crate) fn run(&self, engine: &wasmtime::Engine, bytes: &[u8], dir: &Path) -> Result<Vec<u8>, String> {
        match self {
            Compile::InProcess => engine.precompile_component(bytes).map_err(|e| chain(&e)),
            Compile::Child(command) => command.run(bytes, dir),
        }
    }
}

impl CompileCommand {
    fn run(&self, bytes: &[u8], dir: &Path) -> Result<Vec<u8>, String> {
        let io = |what: &'static str| move |e: std::io::Error| format!("{what}: {e}");
        // Files instead of pipes: nobody has to read and write at the same time.
        let mut input = scratch(dir).map_err(io("a file for the component"))?;
        input.write_all(bytes).and_then(|()| input.rewind()).map_err(io("a file for the component"))?;
        let output = scratch(dir).map_err(io("a file for the code"))?;
        let complaints = scratch(dir).map_err(io("a file for the messages"))?;
        let give = |file: &File| file.try_clone().map(Stdio::from).map_err(io("a file for the compiler"));
        // Whoever breaks the compiler with a component finds no credentials in its environment.
        let loader = std::env::vars_os().filter(|(name, _)| name == "LD_LIBRARY_PATH");
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(loader)
            .stdin(Stdio::from(input))
            .stdout(give(&output)?)
            .stderr(give(&complaints)?)
            .spawn()
            .map_err(|e| format!("{:?} can not be started: {e}", self.program))?;
        let status = wait(&mut child, COMPILE_TIME_MAX).map_err(io("waiting for the compiler"))?;
        match status {
            Some(status) if status.success() => read_all(output, ARTEFACT_BYTES_MAX)
                .map_err(io("reading the code"))
                .and_then(|code| (!code.is_empty()).then_some(code).ok_or("no code came back".to_owned())),
            Some(status) => Err(explain(status, complaints)),
            None => Err(format!("it took longer than {COMPILE_TIME_MAX:?} (compile_time_max)")),
        }
    }
}

/// The compiler's end of a compilation: the component comes on standard input, the code goes to standard output. The
/// limits are set before anything is read. Exit code 1 and a line on standard error say what is wrong.
pub fn compile_child_main() -> ExitCode {
    match compile_child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            // Nothing can be done about a parent that does not listen.
            let _ = writeln!(std::io::stderr(), "{what}");
            ExitCode::FAILURE
        }
    }
}

fn compile_child() -> Result<(), String> {
    // Data, not address space: allocators reserve far more than they use.
    limit(Resource::Data, COMPILE_MEMORY_BYTES_MAX)?;
    limit(Resource::Cpu, COMPILE_CPU_SECONDS_MAX)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, ARTEFACT_BYTES_MAX)?;
    // What runs already goes first. It matters for nothing else, so it may fail.
    let _ = rustix::process::nice(LOWEST_PRIORITY);
    let mut bytes = Vec::new();
    let input = std::io::stdin().lock().take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    input.map_err(|e| format!("reading the component: {e}"))?;
    let engine = engine(false, DebugSections::Ignored).map_err(|e| chain(&e))?;
    let code = engine.precompile_component(&bytes).map_err(|e| chain(&e))?;
    let mut output = std::io::stdout().lock();
    output.write_all(&code).and_then(|()| output.flush()).map_err(|e| format!("writing the code: {e}"))
}

/// An operator may have set less already.
fn limit(resource: Resource, maximum: u64) -> Result<(), String> {
    let maximum = getrlimit(resource).maximum.map_or(maximum, |already| already.min(maximum));
    let limits = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    setrlimit(resource, limits).map_err(|e| format!("limiting {resource:?}: {e}"))
}

/// A file without a name, gone with the process.
fn scratch(dir: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, rustix::fs::Mode::from_raw_mode(0o600)) {
        Ok(file) => Ok(File::from(file)),
        // Not every file system has them.
        Err(_) => named_scratch(dir),
    }
}

fn named_scratch(dir: &Path) -> std::io::Result<File> {
    let (file, path) = crate::cache::temporary(dir, ".scratch")?;
    std::fs::remove_file(path)?;
    Ok(file)
}

fn wait(child: &mut Child, time_max: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > time_max {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn read_all(mut file: File, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn explain(status: ExitStatus, complaints: File) -> String {
    let complaints = read_all(complaints, STDERR_BYTES_MAX).unwrap_or_default();
    let complaints = String::from_utf8_lossy(&complaints).trim().replace('\n', "; ");
    let complaints = crate::text::line(&complaints);
    match (status.signal(), complaints.is_empty()) {
        (Some(signal), true) => format!(
            "the compiler was stopped by signal {signal}: it may use {COMPILE_MEMORY_BYTES_MAX} bytes of memory \
             (compile_memory_bytes_max) and {COMPILE_CPU_SECONDS_MAX} s of processor time (compile_cpu_seconds_max)"
        ),
        (Some(signal), false) => format!("the compiler was stopped by signal {signal}: {complaints}"),
        (None, true) => format!("the compiler failed ({status})"),
        (None, false) => complaints,
    }
}
