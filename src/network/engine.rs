//! What runs a network: a small trait, and rten behind it. ONNX Runtime is another (`onnxruntime`).
//!
//! An image is always run by one thread, in a thread that does no other work of fvtool meanwhile: images
//! are what is done at once, so the number of threads changes no bit of a result, and a thread that waits
//! begins no second image.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rten::{Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::{AsView, Layout, Tensor, TensorView};

use super::proto::Fault;

/// A value as an engine hands it out.
pub(super) struct Raw {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// A value as an engine takes it.
pub(super) struct Input<'v> {
    pub(super) shape: Vec<usize>,
    pub(super) values: &'v [f32],
}

/// What runs a network.
pub(super) trait Engine: Send + Sync {
    /// The outputs that it was made for, of the inputs that it was made for.
    fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Raw>, Fault>;
}

/// Name and release of rten.
pub(super) const RTEN: &str = "rten 0.27";

/// The engine of the crate `rten`.
pub(super) struct Rten {
    model: Model,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    /// Of one thread each, as many as there are images at once.
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Rten {
    /// Loads an ONNX file with these inputs and outputs.
    pub(super) fn new(file: Vec<u8>, inputs: &[String], outputs: &[String]) -> Result<Self, Fault> {
        // With a pool of its own, since whoever loads may be waited for by all workers of ours.
        let load = || {
            let load = || Model::load(file).map_err(|e| e.to_string());
            ThreadPool::with_num_threads(1).run(load)
        };
        let model = apart(load)?;
        let node = |name: &str| {
            model.find_node(name).ok_or_else(|| format!("the engine does not know `{name}`"))
        };
        let nodes =
            |names: &[String]| names.iter().map(|name| node(name)).collect::<Result<_, _>>();
        let (inputs, outputs) = (nodes(inputs)?, nodes(outputs)?);
        Ok(Self { model, inputs, outputs, idle: Mutex::default() })
    }

    fn pools(&self) -> std::sync::MutexGuard<'_, Vec<Arc<ThreadPool>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_here(&self, inputs: &[Input<'_>], pool: Arc<ThreadPool>) -> Result<Vec<Raw>, Fault> {
        let mut given: Vec<(NodeId, ValueOrView<'_>)> = Vec::with_capacity(inputs.len());
        for (&node, input) in self.inputs.iter().zip(inputs) {
            let tensor = TensorView::from_data(input.shape.as_slice(), input.values);
            given.push((node, tensor.into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(pool));
        let values = self.model.run(given, &self.outputs, Some(options));
        values.map_err(|e| e.to_string())?.into_iter().map(raw).collect()
    }
}

impl Engine for Rten {
    fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Raw>, Fault> {
        let idle = self.pools().pop();
        let pool = idle.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let of_run = pool.clone();
        let result = apart(|| self.run_here(inputs, of_run));
        self.pools().push(pool);
        result
    }
}

fn raw(value: Value) -> Result<Raw, Fault> {
    let of = value.dtype();
    let tensor: Tensor<f32> = value
        .into_tensor()
        .ok_or_else(|| format!("a value of type {of} where 32-bit floats belong"))?;
    Ok(Raw { shape: tensor.shape().to_vec(), values: tensor.to_vec() })
}

/// Works in another thread: a worker of our own pool would take up the next image while it waits for another
/// pool.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let work = || guarded(work);
        let thread = std::thread::Builder::new().name("network".into()).spawn_scoped(scope, work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("the engine failed".into())),
            Err(e) => Err(format!("no thread can be started: {e}")),
        }
    })
}

/// A panic of the engine is its error.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the engine failed: {}", text.unwrap_or("it does not say why")))
    })
}
