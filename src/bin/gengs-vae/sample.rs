//! `gengs-vae sample`.

use super::eval::place;
use clap::Args;
use gengs::cli::{Trained, generator_seed, print_line};
use gengs::models::Vae;
use gengs::training::{ShownImages, TrainConfig, draw_pictures, must_not_be_of_a_run, weights};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Sample {
    #[command(flatten)]
    trained: Trained,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0, value_parser = generator_seed)]
    seed: i64,
    /// Where the images are now of a run that was made before runs kept those that are reconstructed
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// Where the samples go; the reconstructions go beside it, as NAME-reconstructions.png
    #[arg(long, value_name = "FILE")]
    png: PathBuf,
}

impl Sample {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let stem = self.png.file_stem().unwrap_or_default().to_string_lossy();
        let reconstructions = self.png.with_file_name(format!("{stem}-reconstructions.png"));
        [&self.png, &reconstructions].into_iter().try_for_each(|path| must_not_be_of_a_run(path))?;
        let (vae, shown) = self.model_and_images()?;
        let _generator = gengs::random::seeded(self.seed);
        draw_pictures(&vae, &shown, &self.png, &reconstructions)?;
        let common = &self.trained.common;
        if common.json {
            print_line(serde_json::json!({ "samples": self.png, "reconstructions": reconstructions }))?;
        } else {
            common.print_status(format_args!("{} and {}", self.png.display(), reconstructions.display()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The model, and the images that the run keeps to be reconstructed; a run of before keeps none, and its data are
    /// read.
    fn model_and_images(&self) -> anyhow::Result<(Vae, ShownImages)> {
        let (folder, mut config, device) = self.trained.settings::<TrainConfig>()?;
        let shown = match ShownImages::of_run(&folder, device)? {
            Some(shown) => shown,
            None => {
                place(&mut config, self.dataset.as_deref());
                self.trained.name_data(&folder, &config)?;
                ShownImages::of(&config.image_set().load(config.data_dir.as_deref())?.to_device(device))
            }
        };
        let checkpoint = self.trained.checkpoint_args.file(&folder)?;
        let vae = weights::read_vae(&config, &checkpoint, device)?.model;
        if shown.size() != vae.pixels() {
            let (run, found, pixels) = (folder.path().display(), shown.size(), vae.pixels());
            anyhow::bail!("{run}: its images have {found} pixels, but its model is of images of {pixels}");
        }
        Ok((vae, shown))
    }
}
