//! ONNX Runtime behind the trait of engines: a library that its user has, loaded when it is asked for.
//!
//! A process loads one such library. A session works for one image at a time, by one thread, without
//! waiting in circles; there are as many as there are images at once, each with weights of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::engine::{Engine, Input, Raw, apart};
use super::proto::Fault;
use crate::files;

/// Where the library is looked for when no setting names it.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Digits of a hash by which a library is known: 64 bits.
const DIGITS: usize = 16;

/// A loaded library.
struct Library {
    path: PathBuf,
    environment: Environment,
    /// What it is known by.
    title: String,
}

/// The one library of the process, once it is loaded.
static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

/// Sessions of one network.
pub(super) struct OnnxRuntime {
    file: Vec<u8>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    idle: Mutex<Vec<Session>>,
}

/// Loads the library at `path` (where empty: that of the environment) unless it is loaded already.
///
/// Gives what it is known by.
pub(super) fn load(path: &Path) -> Result<String, Fault> {
    let path = match path.as_os_str().is_empty() {
        false => path.to_owned(),
        true => std::env::var_os(VARIABLE).map(PathBuf::from).unwrap_or_default(),
    };
    let way_out = "pip install onnxruntime, then give network.library the file \
                   onnxruntime/capi/libonnxruntime.so.VERSION of the folder that `pip show -f onnxruntime` \
                   names (onnxruntime.dll, libonnxruntime.VERSION.dylib)";
    if path.as_os_str().is_empty() {
        return Err(format!("neither network.library nor {VARIABLE} names a library; {way_out}"));
    }
    if !path.is_file() {
        return Err(format!("{} is no file; {way_out}", path.display()));
    }
    let path = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
    let mut loaded = locked(&LIBRARY);
    if let Some(library) = &*loaded {
        if library.path == path {
            return Ok(library.title.clone());
        }
        return Err(format!(
            "{} is loaded already; a process takes one library, not {} too",
            library.path.display(),
            path.display()
        ));
    }
    let load = || {
        let builder = ort::init_from(&path).map_err(|e| e.to_string())?;
        let environment = builder.with_telemetry(false).build().map_err(|e| e.to_string())?;
        environment.set_log_level(LogLevel::Error);
        Ok((environment, ort::info()))
    };
    let hash = hash_of(&path)?;
    let (environment, build) =
        apart(load).map_err(|e| format!("{} cannot be used ({e}); {way_out}", path.display()))?;
    let title = title(build, &hash);
    *loaded = Some(Library { path, environment, title: title.clone() });
    Ok(title)
}

/// The commit that a library states, and the beginning of the hash of its file: two builds of one commit
/// may reckon in another order.
fn title(build: &str, hash: &blake3::Hash) -> String {
    let commit = build.split_once("git-commit-id=").map(|(_, rest)| rest);
    let commit = commit.and_then(|rest| rest.split([',', ' ']).next()).unwrap_or("unknown");
    format!("onnxruntime of commit {commit}, library {}", &hash.to_hex()[..DIGITS])
}

/// Hash of a file.
fn hash_of(path: &Path) -> Result<blake3::Hash, Fault> {
    let hash = || -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(files::open(path)?.0)?;
        Ok(hasher.finalize())
    };
    hash().map_err(|e| format!("{}: {e}", path.display()))
}

impl OnnxRuntime {
    /// Loads an ONNX file with these inputs and outputs. The library is loaded already.
    pub(super) fn new(file: Vec<u8>, inputs: &[String], outputs: &[String]) -> Result<Self, Fault> {
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        let engine = Self { file, inputs, outputs, idle: Mutex::default() };
        let session = apart(|| engine.session())?;
        locked(&engine.idle).push(session);
        Ok(engine)
    }

    fn session(&self) -> Result<Session, Fault> {
        let library = locked(&LIBRARY);
        let library = library.as_ref().ok_or("no library is loaded")?;
        let builder = Session::builder(&library.environment).map_err(|e| e.to_string())?;
        let builder = builder.with_intra_threads(1).map_err(|e| e.to_string())?;
        let builder = builder.with_inter_threads(1).map_err(|e| e.to_string())?;
        let builder = builder.with_intra_op_spinning(false).map_err(|e| e.to_string())?;
        let builder = builder.with_inter_op_spinning(false).map_err(|e| e.to_string())?;
        let mut builder = builder.with_deterministic_compute(true).map_err(|e| e.to_string())?;
        builder.commit_from_memory(&self.file).map_err(|e| e.to_string())
    }

    fn run_here(&self, session: &mut Session, inputs: &[Input<'_>]) -> Result<Vec<Raw>, Fault> {
        let mut given = Vec::with_capacity(inputs.len());
        for (name, input) in self.inputs.iter().zip(inputs) {
            let tensor = TensorRef::from_array_view((input.shape.clone(), input.values));
            let tensor = tensor.map_err(|e| e.to_string())?;
            given.push((name.as_str(), SessionInputValue::from(tensor)));
        }
        let values = session.run(given).map_err(|e| e.to_string())?;
        let raw = |name: &String| {
            let value = values.get(name).ok_or_else(|| format!("the engine gave no `{name}`"))?;
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(|e| e.to_string())?;
            let shape = shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect();
            Ok(Raw { shape, values: values.to_vec() })
        };
        self.outputs.iter().map(raw).collect()
    }
}

impl Engine for OnnxRuntime {
    fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Raw>, Fault> {
        let idle = locked(&self.idle).pop();
        let (session, result) = apart(|| {
            let mut session = match idle {
                Some(session) => session,
                None => self.session()?,
            };
            let result = self.run_here(&mut session, inputs);
            Ok((session, result))
        })?;
        locked(&self.idle).push(session);
        result
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_known_by_its_commit_and_its_file() {
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, build type=Release";
        let [one, other] = [b"one", b"two"].map(|bytes| blake3::hash(bytes));
        assert!(title(build, &one).starts_with("onnxruntime of commit fab30a4, library "));
        assert_ne!(title(build, &one), title(build, &other));
        assert!(title("something else", &one).contains("commit unknown"));
    }
}
