//! Two trainings in two threads of a process, which share libtorch's generator: each has the bits that it has alone. And a task of a user's own.

use gengs::training::{Control, Session, Settings, TopicsTask, TopicsTrainConfig, TrainConfig, TrainTask, VaeTask};
use std::path::Path;
use tch::{Device, Kind, Tensor};

#[allow(dead_code)]
#[path = "../../examples/custom_task.rs"]
mod custom_task;

type Weights = Vec<(String, Vec<f32>)>;

/// The weights at the end of a run.
fn train<T: TrainTask>(settings: T::Settings, out: &Path) -> Weights {
    // How many threads libtorch has changes the order of its sums.
    tch::set_num_threads(1);
    let mut session = Session::<T>::start(settings, out, Device::Cpu).unwrap();
    session.run(|_| Control::Continue, |_| ()).unwrap();
    let numbers = |tensor: Tensor| Vec::try_from(tensor.to_kind(Kind::Float).reshape([-1])).unwrap();
    let variables = session.task().store().variables().into_iter();
    let mut weights: Weights = variables.map(|(name, tensor)| (name, numbers(tensor))).collect();
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    weights
}

/// Both trainings of each task alone, and then side by side.
fn compare<T: TrainTask<Settings: Send>>(settings: impl Fn(u64) -> T::Settings) {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str, seed: u64| folder.path().join(format!("{name}-{seed}"));
    let alone = [1, 2].map(|seed| train::<T>(settings(seed), &out("alone", seed)));
    assert_ne!(alone[0], alone[1]);
    let together = std::thread::scope(|scope| {
        let runs = [1, 2].map(|seed| {
            let (settings, out) = (settings(seed), out("together", seed));
            scope.spawn(move || train::<T>(settings, &out))
        });
        runs.map(|run| run.join().unwrap())
    });
    assert!(together == alone, "trainings in one process disturb each other");
}

#[test]
fn two_vaes_train_side_by_side() {
    // Images are binarised, and the estimator draws, by libtorch's generator.
    let estimator = gengs::estimators::EstimatorKind::ReinforceLoo;
    compare::<VaeTask>(|seed| TrainConfig {
        epochs: 2,
        latents: 3,
        hidden: vec![6],
        batch_size: 500,
        estimator,
        seed,
        ..TrainConfig::default()
    });
}

#[test]
fn two_topic_models_train_side_by_side() {
    compare::<TopicsTask>(|seed| {
        let mut settings = TopicsTrainConfig { topics: vec![4], hidden: 6, seed, ..TopicsTrainConfig::default() };
        settings.set_epochs(2);
        settings
    });
}

#[test]
fn a_task_of_ones_own_dies_and_goes_on_with_the_same_bits() {
    custom_task::main().unwrap();
}
