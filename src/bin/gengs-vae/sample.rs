//! `gengs-vae sample`: pictures of samples and of reconstructions.

use super::eval::set_dataset;
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
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0, value_parser = generator_seed)]
    seed: i64,
    /// Present location of the run's images; needed only if the run folder has no images.safetensors
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// File of the samples; the reconstructions are written beside it, as NAME-reconstructions.png
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

    /// Reads the model and the images to reconstruct. If the run folder does not keep these images, reads the run's
    /// data.
    fn model_and_images(&self) -> anyhow::Result<(Vae, ShownImages)> {
        let (folder, mut config, device) = self.trained.settings::<TrainConfig>()?;
        let shown = match ShownImages::from_run(&folder, device)? {
            Some(shown) => shown,
            None => {
                set_dataset(&mut config, self.dataset.as_deref());
                self.trained.report_data_paths(&folder, &config)?;
                ShownImages::from_data(&config.image_set().load(config.data_dir.as_deref())?.to_device(device))
            }
        };
        let checkpoint = self.trained.checkpoint_args.file(&folder)?;
        let found = weights::read_vae(&config, &checkpoint, device)?;
        found.check_run(&config)?;
        let vae = found.model;
        if shown.size() != vae.pixels() {
            let (run, found, pixels) = (folder.path().display(), shown.size(), vae.pixels());
            anyhow::bail!("{run}: its images have {found} pixels, but its model is of images of {pixels}");
        }
        Ok((vae, shown))
    }
}
