//! Trains, evaluates, shows and exports a variational autoencoder with discrete latents.

use clap::{Args, Parser, Subcommand, ValueEnum};
use gengs::cli::{Common, Telling, interrupted, train};
use gengs::data::Images;
use gengs::estimators::EstimatorKind;
use gengs::models::{Family, Inference, Vae};
use gengs::training::{
    Interval, OnNan, RunFolder, Schedule, Session, Settings, TrainConfig, TruncationSetting, VaeTrainee, draw_pictures,
    evaluate, read_settings, weights,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tch::Device;

/// A variational autoencoder with discrete latents, trained by the generalized Gumbel-Softmax estimator
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; leaves settings, metrics, checkpoints and pictures in a run folder
    Train(Box<Train>),
    /// Evaluate a run on the test images, on hard samples
    Eval(Eval),
    /// Draw a grid of samples, and one of test images above their reconstructions
    Sample(Sample),
    /// Write the model of a run for PyTorch
    Export(Export),
}

/// Defaults are in brackets; a flag wins over --config, which wins over the default.
#[derive(Debug, Args)]
struct Train {
    /// mnist-5k (built in), mnist, static-mnist, omniglot, an idx file, or an .npz with 'x' [N, height, width] [default: mnist-5k]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// Folder with the files of the named data sets
    #[arg(long, env = "GENGS_DATA", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings in TOML, the names of these flags with _ for -
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Law of the latents [default: poisson]
    #[arg(long)]
    family: Option<Family>,
    /// What the encoder puts out: parameters of the family, or one logit an atom [default: implicit]
    #[arg(long)]
    inference: Option<Inference>,
    /// Mean of the prior [default: 2, or 0.5 for bernoulli]
    #[arg(long, value_name = "MEAN")]
    prior: Option<f64>,
    /// Window of atoms: a number, or the mass that may be cut off, as in tail:1e-6 [default: 12, or 2 for bernoulli]
    #[arg(long, value_name = "N|tail:MASS")]
    truncation: Option<TruncationSetting>,
    /// Gradient through the latents [default: gengs]
    #[arg(long, value_name = "NAME")]
    estimator: Option<EstimatorKind>,
    /// Samples an image and step [default: 1, or 2 for estimators that compare samples]
    #[arg(long, value_name = "S")]
    samples: Option<i64>,
    /// Steps between two looks at the quality of the encoder's gradient, some seconds each, written to gradients.jsonl [default: 0, never]
    #[arg(long, value_name = "STEPS")]
    diagnose_every: Option<usize>,
    /// Estimators that are looked at [default: gengs,reinforce-loo,rebar]
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    diagnose: Option<Vec<EstimatorKind>>,
    /// Temperature: a number, or first..last, changed linearly over the run [default: 1..0.3]
    #[arg(long, value_name = "T|FIRST..LAST")]
    temperature: Option<Schedule>,
    /// Number of latents [default: 50]
    #[arg(long, value_name = "K")]
    latents: Option<i64>,
    /// Widths of the encoder's hidden layers; the decoder has them in reverse [default: 500,500]
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    hidden: Option<Vec<i64>>,
    /// Passes over the training images [default: 100]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images a step [default: 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<i64>,
    /// Adam's learning rate [default: 0.001]
    #[arg(long)]
    lr: Option<f64>,
    /// Epochs over which the weight of the KL grows from 0 to 1 [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<f64>,
    /// How often a checkpoint is written: 10s (or 10), 5m, '200 steps', '1 epoch' [default: 10s]
    #[arg(long, value_name = "INTERVAL")]
    checkpoint_every: Option<Interval>,
    /// What to do about a step whose loss or gradient is not finite: such a step never changes the model [default: stop]
    #[arg(long, value_name = "WHAT")]
    on_nan: Option<OnNan>,
    /// Start from these weights: a file of safetensors, of torch.save, a TorchScript module, or a checkpoint of another run
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Where all randomness starts [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Run folder [default: runs/DATASET-FAMILY-INFERENCE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out at its last checkpoint, with its settings; only --epochs (the temperature then follows the new length),
    /// --on-nan and --data-dir may be given anew, and are kept
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Trained {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which checkpoint: best (on the validation images) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// Folder with the files of the named data sets [default: as in training]
    #[arg(long, env = "GENGS_DATA", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0)]
    seed: i64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Eval {
    #[command(flatten)]
    trained: Trained,
    /// Evaluate these weights in place of a checkpoint's: a file of safetensors, of torch.save, or a TorchScript module (which is code: here
    /// only its tensors are read, nothing in it runs)
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    weights: Option<PathBuf>,
    /// Hard samples an image, for -ELBO and the importance-weighted bound
    #[arg(long, default_value_t = 100, value_name = "S")]
    importance_samples: i64,
    /// Images at once
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: i64,
}

#[derive(Debug, Args)]
struct Sample {
    #[command(flatten)]
    trained: Trained,
    /// Where the samples go; the reconstructions go beside it, as NAME-reconstructions.png
    #[arg(long, value_name = "FILE")]
    png: PathBuf,
}

#[derive(Debug, Args)]
struct Export {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which checkpoint: best (on the validation images) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    common: Common,
}

/// One of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The whole model as a program for torch.jit.load, with encode(x), decode(z) and reconstruct(x)
    #[arg(long, value_name = "FILE")]
    torchscript: Option<PathBuf>,
    /// The weights under PyTorch's names, for model.load_state_dict(safetensors.torch.load_file(FILE))
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
}

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Command::Train(train) => train.run(),
        Command::Eval(eval) => eval.run(),
        Command::Sample(sample) => sample.run(),
        Command::Export(export) => export.run(),
    })
}

/// The settings that a run keeps for its whole life.
macro_rules! fixed_settings {
    ($apply:ident) => {
        $apply!(
            dataset,
            family,
            inference,
            prior,
            truncation,
            estimator,
            samples,
            diagnose_every,
            diagnose,
            temperature,
            latents,
            hidden,
            batch_size,
            lr,
            kl_warmup,
            checkpoint_every,
            init_from,
            seed
        )
    };
}

impl Train {
    /// What was typed, over the settings file, over the defaults.
    fn settings(&self) -> anyhow::Result<TrainConfig> {
        let mut config = match &self.config {
            Some(path) => read_settings(path)?,
            None => TrainConfig::default(),
        };
        macro_rules! take {
            ($($name:ident),*) => { $( if let Some(value) = &self.$name { config.$name = value.clone().into(); } )* };
        }
        fixed_settings!(take);
        self.change(&mut config);
        config.check()?;
        Ok(config)
    }

    /// The settings that may change when a run is resumed.
    fn change(&self, config: &mut TrainConfig) {
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.on_nan = self.on_nan.unwrap_or(config.on_nan);
        if let Some(data_dir) = &self.data_dir {
            config.data_dir = Some(data_dir.clone());
        }
    }

    fn session(&self) -> anyhow::Result<(Session<VaeTrainee>, PathBuf)> {
        let device = self.common.prepare()?;
        if self.resume {
            let Some(out) = &self.out else { anyhow::bail!("--resume needs the run folder: --out DIR") };
            if let Some(flag) = self.flag_that_resume_ignores() {
                anyhow::bail!(
                    "--{flag} cannot be given with --resume: the run goes on with its own settings; start a new run for others"
                );
            }
            let session = Session::<VaeTrainee>::resume_with(out, device, |config| self.change(config))?;
            return Ok((session, out.clone()));
        }
        let config = self.settings()?;
        let out = self.out.clone().unwrap_or_else(|| default_folder(&config));
        Ok((Session::start(config, &out, device)?, out))
    }

    fn flag_that_resume_ignores(&self) -> Option<String> {
        macro_rules! given {
            ($($name:ident),*) => { [$( (stringify!($name), self.$name.is_some()) ),*] };
        }
        fixed_settings!(given).into_iter().find(|&(_, given)| given).map(|(name, _)| name.replace('_', "-"))
    }

    fn run(&self) -> anyhow::Result<ExitCode> {
        let stop = interrupted();
        let (mut session, out) = self.session()?;
        let telling = Telling { program: "gengs-vae", out: &out, resumed: self.resume };
        let stopped = train(&mut session, telling, &self.common, stop, |record| {
            format!(
                "epoch {}: -ELBO {:.2} (relaxed, training), {:.2} (hard, validation), KL {:.2}, temperature {:.3}",
                record.epoch,
                record.train_neg_elbo_relaxed,
                record.validation_neg_elbo,
                record.validation_kl,
                record.temperature
            )
        })?;
        if let Some(code) = stopped {
            return Ok(code);
        }
        let seconds = session.progress().seconds;
        if let Some((best, epoch)) = session.progress().best {
            self.common.say(format_args!(
                "done in {seconds:.0} s of training; best hard validation -ELBO {best:.2} nats at epoch {epoch}; pictures: {}, {}",
                out.join("samples.png").display(),
                out.join("reconstructions.png").display()
            ));
        }
        if let Some(drawn_by) = session.trainee().drawn_by() {
            self.common.say(format_args!("latents were drawn by the {drawn_by}"));
        }
        if self.common.json {
            println!("{}", serde_json::to_string(session.records())?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn default_folder(config: &TrainConfig) -> PathBuf {
    let dataset = Path::new(&config.dataset).file_stem().unwrap_or_default().to_string_lossy();
    Path::new("runs").join(format!("{dataset}-{}-{}", name(&config.family), name(&config.inference)))
}

/// The name of a choice as it is typed.
fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

impl Eval {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Trained { run, checkpoint, data_dir, seed, common } = &self.trained;
        let device = common.prepare()?;
        let (trainee, vae, images, config);
        let (vae, images, config) = match &self.weights {
            Some(weights) => {
                (vae, images, config) = self.model_of(weights, device)?;
                (&vae, &images, config)
            }
            None => {
                (trainee, config) = Session::<VaeTrainee>::load(run, checkpoint, data_dir.as_deref(), device)?;
                (trainee.vae(), &trainee.data().test, config)
            }
        };
        let temperature = config.temperature.last;
        let result = evaluate(vae, images, self.importance_samples, temperature, self.batch_size, *seed)?;
        if common.json {
            println!("{}", serde_json::to_string(&result)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("{} test images, {} hard samples each, nats an image", result.examples, result.importance_samples);
        println!("-ELBO            {:.3}", result.neg_elbo);
        println!("  reconstruction {:.3}", result.reconstruction);
        println!("  KL             {:.3}", result.kl);
        println!("-IWAE            {:.3}   importance-weighted bound", result.neg_iwae);
        println!(
            "-ELBO relaxed    {:.3}   at temperature {temperature}, soft samples: not a likelihood",
            result.neg_elbo_relaxed
        );
        println!("active units     {}", result.active_units);
        if let Some(drawn_by) = result.drawn_by {
            println!("relaxed samples were drawn by the {drawn_by}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Eval {
    /// The run's model with the weights of a file, and the run's test images.
    fn model_of(&self, weights: &Path, device: Device) -> anyhow::Result<(Vae, Images, TrainConfig)> {
        let (_, mut config) = RunFolder::open::<TrainConfig>(&self.trained.run)?;
        config.data_dir = self.trained.data_dir.clone().or(config.data_dir);
        let (_, vae) = weights::read_vae(&config, weights, device)?;
        let images = config.image_set().load(config.data_dir.as_deref())?.test.to_device(device);
        if images.size() != vae.pixels() {
            let (file, pixels, size) = (weights.display(), vae.pixels(), images.size());
            anyhow::bail!("{file}: its weights are for images of {pixels} pixels, but those of the run have {size}");
        }
        Ok((vae, images, config))
    }
}

impl Export {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let (folder, config) = RunFolder::open::<TrainConfig>(&self.run)?;
        let checkpoint = folder.file(&format!("{}.safetensors", self.checkpoint));
        let (store, vae) = weights::read_vae(&config, &checkpoint, device)?;
        let Target { torchscript, safetensors } = &self.target;
        if let Some(path) = torchscript {
            weights::write_torchscript(path, &vae, &config)?;
        }
        if let Some(path) = safetensors {
            weights::write_safetensors(path, &store)?;
        }
        if self.common.json {
            println!("{}", serde_json::json!({ "torchscript": torchscript, "safetensors": safetensors }));
        } else if let Some(path) = torchscript.as_ref().or(safetensors.as_ref()) {
            self.common.say(format_args!("{}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sample {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Trained { run, checkpoint, data_dir, seed, common } = &self.trained;
        let device = common.prepare()?;
        let (trainee, _) = Session::<VaeTrainee>::load(run, checkpoint, data_dir.as_deref(), device)?;
        tch::manual_seed(*seed);
        let stem = self.png.file_stem().unwrap_or_default().to_string_lossy();
        let reconstructions = self.png.with_file_name(format!("{stem}-reconstructions.png"));
        draw_pictures(trainee.vae(), trainee.data(), &self.png, &reconstructions)?;
        if common.json {
            println!("{}", serde_json::json!({ "samples": self.png, "reconstructions": reconstructions }));
        } else {
            common.say(format_args!("{} and {}", self.png.display(), reconstructions.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
