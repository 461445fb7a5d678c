//! C: clang with the C library of WASI, or `zig cc`, which brings its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Job, Made, read, zig};
use crate::KitError;
use crate::tools::{self, ask, command, compile, missing};

const INSTALL: &str = "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32";

/// It lies in front of all data: what overflows it leaves the memory, which is a trap.
const STACK_BYTES: u32 = 1 << 20;

/// Compiles and links in two steps: clang runs `wasm-opt` behind a link with `-O`, if there is one, and that takes out the names of
/// functions, which backtraces show.
pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let sources = [job.said.source.clone(), job.said.sdk.join("tamis.c")];
    let objects = ["plugin.o", "tamis.o"].map(|name| job.work.join(name));
    for (source, object) in sources.iter().zip(&objects) {
        let (mut compiler, _) = compiler(&job.project.dir)?;
        compiler.args(language(source)).args(["-O2", "-gline-tables-only", "-Wall", "-Wextra"]);
        // `zig cc` defines NDEBUG with -O2: an assert of the author's shall end in the log.
        compiler.args(["-UNDEBUG", "-fvisibility=hidden", "-msimd128", "-mbulk-memory"]);
        // What an assert says of its file shall not be of this machine.
        let (dir, sdk) = (job.project.dir.display(), job.said.sdk.display());
        compiler.args([format!("-fmacro-prefix-map={dir}/="), format!("-fmacro-prefix-map={sdk}/=sdk/")]);
        compiler.arg("-I").arg(&job.said.sdk).arg("-c").arg(source).arg("-o").arg(object);
        compile("the C compiler", &mut compiler)?;
    }
    let (mut linker, options) = compiler(&job.project.dir)?;
    let module = job.work.join("plugin.core.wasm");
    linker.args(["-mexec-model=reactor", &format!("-Wl,-z,stack-size={STACK_BYTES}")]).args(options);
    linker.args(&objects).arg("-o").arg(&module);
    compile("the C compiler", &mut linker)?;
    read(module).map(Made::BareModule)
}

/// A plugin may be written in C++; the SDK is in C.
fn language(source: &Path) -> &'static [&'static str] {
    match source.extension().and_then(|extension| extension.to_str()) {
        Some("cc" | "cpp" | "cxx") => &["-x", "c++", "-std=c++17", "-fno-exceptions", "-fno-rtti"],
        _ => &["-std=c11"],
    }
}

/// The compiler with its target, and what it wants to be told to link: `zig cc` puts the stack first by itself and knows no option for it.
fn compiler(dir: &Path) -> Result<(Command, &'static [&'static str]), KitError> {
    const STACK_FIRST: &[&str] = &["-Wl,--stack-first"];
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from) {
        let mut clang = command(sdk.join("bin/clang"), dir);
        clang.arg("--target=wasm32-wasi").arg("--sysroot").arg(sdk.join("share/wasi-sysroot"));
        return Ok((clang, STACK_FIRST));
    }
    if let Some(clang) = tools::find("clang").filter(|clang| has_wasi(clang, dir)) {
        let mut clang = command(clang, dir);
        clang.arg("--target=wasm32-wasi");
        return Ok((clang, STACK_FIRST));
    }
    let mut zig = zig::compiler(dir).map_err(|_| missing("a C compiler for WebAssembly", INSTALL))?;
    zig.args(["cc", "-target", "wasm32-wasi"]);
    Ok((zig, &[]))
}

/// Whether its C library and its linker for WASI are there.
fn has_wasi(clang: &Path, dir: &Path) -> bool {
    let mut linker = command(clang, dir);
    linker.args(["--target=wasm32-wasi", "-print-prog-name=wasm-ld"]);
    let mut library = command(clang, dir);
    library.args(["--target=wasm32-wasi", "-print-file-name=libc.a"]);
    // What it does not find it repeats as it was asked.
    let is_there = |asked: &mut Command| ask("clang", asked).is_ok_and(|path| Path::new(&path).is_absolute());
    is_there(&mut linker) && is_there(&mut library)
}
