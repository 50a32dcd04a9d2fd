//! Layers and Adam, against PyTorch.

use crate::common::{close, double, doubles, seeded};
use gengs::nn::{Adam, EmbeddingBag, Linear, Mlp, SparseIndex};
use serde::Deserialize;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Oracle {
    start: Vec<f32>,
    scale: Vec<f32>,
    lr: f64,
    path: Vec<Vec<f64>>,
}

#[test]
fn adam_walks_as_torch_optim_adam() {
    let oracle: Oracle = serde_json::from_str(include_str!("../fixtures/adam.json")).unwrap();
    let store = VarStore::new(Device::Cpu);
    let w = store.root().var("w", &[4], Init::Const(0.0));
    tch::no_grad(|| w.shallow_clone().copy_(&Tensor::from_slice(&oracle.start)));
    let mut adam = Adam::new(&store, oracle.lr).unwrap();
    for expected in oracle.path {
        adam.zero_grad();
        (Tensor::from_slice(&oracle.scale) * w.square()).sum(Kind::Float).backward();
        adam.step().unwrap();
        for (found, expected) in doubles(&w).iter().zip(expected) {
            close("parameter", *found, expected, 1e-6);
        }
    }
    assert_eq!(adam.steps(), 10);
    assert!(Adam::new(&store, -1.0).unwrap_err().to_string().contains("learning rate"));
}

#[test]
fn one_pass_and_tensor_operations_are_the_same_update() {
    let _guard = seeded(12);
    let start = Tensor::randn([40, 30], (Kind::Float, Device::Cpu));
    let scale = Tensor::rand([40, 30], (Kind::Float, Device::Cpu)) * 10.0;
    // Float64 takes the way of tensor operations, float32 on the CPU the single pass.
    let path = |wide: bool| {
        let mut store = VarStore::new(Device::Cpu);
        let w = store.root().var("w", &[40, 30], Init::Const(0.0));
        if wide {
            store.double();
        }
        tch::no_grad(|| w.shallow_clone().copy_(&start));
        let mut adam = Adam::new(&store, 0.01).unwrap();
        for _ in 0..20 {
            let loss = (&scale * w.square()).sum(w.kind());
            // Both ways to hand over a gradient, for they are one update.
            if wide {
                adam.zero_grad();
                loss.backward();
                adam.step().unwrap();
            } else {
                adam.minimize(&loss, false).unwrap();
            }
        }
        w.detach().to_kind(Kind::Double)
    };
    let difference = double(&(path(false) - path(true)).abs().max());
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn parameters_without_a_gradient_stay_where_they_are() {
    let store = VarStore::new(Device::Cpu);
    let used = store.root().var("used", &[2], Init::Const(1.0));
    let unused = store.root().var("unused", &[2], Init::Const(1.0));
    let mut adam = Adam::new(&store, 0.1).unwrap();
    used.sum(Kind::Float).backward();
    adam.step().unwrap();
    assert_eq!(doubles(&unused), [1.0, 1.0]);
    assert!(doubles(&used).iter().all(|&w| (w - 0.9).abs() < 1e-6));
}

#[test]
fn linear_starts_as_torch_nn_linear() {
    let _guard = seeded(2);
    let store = VarStore::new(Device::Cpu);
    let (inputs, outputs) = (400, 300);
    let layer = Linear::new(&store.root(), inputs, outputs);
    let parameters = store.variables();
    let bound = 1.0 / (inputs as f64).sqrt();
    for name in ["weight", "bias"] {
        let parameter = &parameters[name];
        assert!(double(&parameter.abs().max()) <= bound, "{name}");
        assert!(double(&parameter.abs().max()) > 0.95 * bound, "{name}");
    }
    // A uniform variable within the bound has this standard deviation; 120,000 of them tell it to a quarter of a percent.
    close("spread", double(&parameters["weight"].std(true)) / (bound / 3f64.sqrt()), 1.0, 0.01);
    let x = Tensor::randn([2, inputs], (Kind::Float, Device::Cpu));
    let by_hand = x.matmul(&parameters["weight"].transpose(0, 1)) + &parameters["bias"];
    assert!(double(&(layer.forward(&x) - by_hand).abs().max()) < 1e-5);
}

#[test]
fn mlp_layers_are_numbered_as_in_a_sequential() {
    let store = VarStore::new(Device::Cpu);
    let mlp = Mlp::new(&(store.root() / "encoder"), &[3, 5, 4, 2]);
    let mut names: Vec<String> = store.variables().into_keys().collect();
    names.sort();
    let expected = [
        "encoder.0.bias",
        "encoder.0.weight",
        "encoder.2.bias",
        "encoder.2.weight",
        "encoder.4.bias",
        "encoder.4.weight",
    ];
    assert_eq!(names, expected);
    let v = store.variables();
    let linear = |x: &Tensor, i: usize| {
        x.matmul(&v[&format!("encoder.{i}.weight")].transpose(0, 1)) + &v[&format!("encoder.{i}.bias")]
    };
    let x = Tensor::from_slice(&[1.0f32, -2.0, 0.5]).unsqueeze(0);
    let by_hand = linear(&linear(&linear(&x, 0).relu(), 2).relu(), 4);
    assert!(double(&(mlp.forward(&x) - by_hand).abs().max()) < 1e-6);
}

/// oneDNN's products against the BLAS's, forward and backward: all three widths, of which one is no multiple of a vector.
#[test]
fn a_network_that_is_differentiated_once_has_the_same_values_and_gradients() {
    let _guard = seeded(21);
    let float = (Kind::Float, Device::Cpu);
    let store = VarStore::new(Device::Cpu);
    let network = Mlp::new(&store.root(), &[37, 130, 50, 11]);
    let x = Tensor::randn([3, 9, 37], float).set_requires_grad(true);
    let weight = Tensor::randn([3, 9, 11], float);
    let parameters = store.trainable_variables();
    let all = |y: &Tensor| {
        let mut inputs: Vec<&Tensor> = parameters.iter().collect();
        inputs.push(&x);
        Tensor::run_backward(&[(y * &weight).sum(Kind::Float)], &inputs, false, false)
    };
    let (plain, once) = (network.forward(&x), network.forward_once(&x));
    assert_eq!(once.size(), [3, 9, 11]);
    for (a, b) in doubles(&plain).iter().zip(doubles(&once)) {
        close("output", b, *a, 1e-5);
    }
    for (a, b) in all(&plain).iter().zip(all(&once)) {
        let scale = a.abs().max().double_value(&[]);
        let difference = (a - b).abs().max().double_value(&[]);
        assert!(difference <= 1e-5 * scale, "gradients differ by {difference} of {scale}");
    }
}

/// The first weight's gradient by a product beside the graph: steps of Adam are those of the whole graph.
#[test]
fn a_network_that_sees_few_pixels_moves_as_by_dense_products() {
    let _guard = seeded(33);
    let float = (Kind::Float, Device::Cpu);
    let x = Tensor::rand([9, 70], float).lt(0.15).to_kind(Kind::Float) * Tensor::randn([9, 70], float);
    let weight = Tensor::randn([9, 5], float);
    for widths in [vec![70, 5], vec![70, 130, 5]] {
        let walk = |sparse: bool| {
            tch::manual_seed(34);
            let store = VarStore::new(Device::Cpu);
            let network = Mlp::new(&store.root(), &widths);
            let mut adam = Adam::new(&store, 0.01).unwrap();
            for _ in 0..5 {
                let (y, product) = if sparse { network.forward_sparse(&x) } else { (network.forward(&x), None) };
                assert_eq!(product.is_some(), sparse);
                adam.minimize_products(&(y * &weight).square().sum(Kind::Float), product.as_slice()).unwrap();
            }
            let mut variables: Vec<_> = store.variables().into_iter().collect();
            variables.sort_by(|a, b| a.0.cmp(&b.0));
            variables.iter().flat_map(|(_, variable)| doubles(variable)).collect::<Vec<f64>>()
        };
        for (dense, sparse) in walk(false).iter().zip(walk(true)) {
            // Adam divides gradients by their size, rounding and all.
            close("parameter", sparse, *dense, 1e-4);
        }
    }
    let network = Mlp::new(&VarStore::new(Device::Cpu).root(), &[70, 5]);
    assert!(network.forward_sparse(&Tensor::ones([9, 70], float)).1.is_none());
}

/// A table that several threads share: the first step is `lr g / (|g| + eps)`, whoever makes it.
#[test]
fn adam_moves_large_tables_alike_on_any_number_of_threads() {
    let _guard = seeded(5);
    let gradient = Tensor::randn([700, 301], (Kind::Float, Device::Cpu));
    let before = tch::get_num_threads();
    let moved = [1, 2].map(|threads| {
        tch::set_num_threads(threads);
        let store = VarStore::new(Device::Cpu);
        let table = store.root().var("table", &[700, 301], Init::Const(0.0));
        let mut adam = Adam::new(&store, 0.5).unwrap();
        adam.apply(&[gradient.shallow_clone()]).unwrap();
        doubles(&table)
    });
    tch::set_num_threads(before);
    assert_eq!(moved[0], moved[1]);
    for (moved, gradient) in moved[0].iter().zip(doubles(&gradient)) {
        close("a step", *moved, -0.5 * gradient / (gradient.abs() + 1e-8), 1e-6);
    }
}

/// Sums of rows are leaves of the graph: rows move as with the gradient of a whole table, in which those that no bag has stay.
#[test]
fn rows_of_bags_move_as_in_a_whole_table_on_any_number_of_threads() {
    let _guard = seeded(6);
    let float = (Kind::Float, Device::Cpu);
    let (rows, width, bags, each) = (2000, 301, 60, 25);
    let numbers = Tensor::randint(rows / 3, [bags * each], (Kind::Int64, Device::Cpu)) * 3;
    let weights = Tensor::rand([bags * each], float);
    let of_bags = Tensor::arange(bags, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(each, 0, None);
    let offsets = Tensor::arange(bags, (Kind::Int64, Device::Cpu)) * each;
    let loss = |sums: &Tensor| (sums - 0.1).square().sum(Kind::Float);
    let entries = SparseIndex::new(&numbers, &of_bags, &offsets).unwrap();
    let before = tch::get_num_threads();
    let moved = [1, 2].map(|threads| {
        tch::set_num_threads(threads);
        tch::manual_seed(1);
        let store = VarStore::new(Device::Cpu);
        let table = EmbeddingBag::new(&store.root(), rows, width, 0.1);
        let start = store.variables()["weight"].detach().copy();
        let mut adam = Adam::new(&store, 0.01).unwrap();
        let (sums, of_table) = table.forward(&entries, &weights).unwrap();
        adam.minimize_rows(&loss(&sums), &[of_table]).unwrap();
        (start, doubles(&store.variables()["weight"]))
    });
    tch::set_num_threads(before);
    assert_eq!(moved[0].1, moved[1].1);

    let store = VarStore::new(Device::Cpu);
    let table = store.root().var_copy("weight", &moved[0].0);
    let mut adam = Adam::new(&store, 0.01).unwrap();
    let of_entries = table.index_select(0, &numbers) * weights.unsqueeze(-1);
    adam.minimize(&loss(&Tensor::zeros([bags, width], float).index_add(0, &of_bags, &of_entries)), false).unwrap();
    for (moved, exact) in moved[0].1.iter().zip(doubles(&table)) {
        close("a step", *moved, exact, 1e-5);
    }
}

/// A row that no table has, and none at all.
#[test]
fn entries_without_a_row_are_errors() {
    let lists = |rows: &[i64]| [rows, &[0; 1][..rows.len()], &[0]].map(Tensor::from_slice);
    let store = VarStore::new(Device::Cpu);
    let table = EmbeddingBag::new(&store.root(), 3, 2, 0.1);
    let forward = |rows: &[i64]| {
        let [rows, bags, offsets] = lists(rows);
        let entries = SparseIndex::new(&rows, &bags, &offsets)?;
        table.forward(&entries, &rows.to_kind(Kind::Float))
    };
    assert!(forward(&[-1]).is_err() && forward(&[3]).is_err());
    assert_eq!(doubles(&forward(&[]).unwrap().0), [0.0; 2]);
}
