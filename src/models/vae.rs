//! A variational autoencoder with one layer of discrete latents and Bernoulli pixels.
//!
//! `p(z)` is the truncated prior, `p(x | z)` a product of Bernoulli pixels whose logits are an MLP of `z`, `q(z | x)`
//! the truncated law that an MLP of `x` puts out. The training objective is the evidence lower bound (ELBO) with `z`
//! relaxed; likelihoods are reported on hard samples.
//!
//! # Source
//! Kingma, Welling, arXiv 1312.6114; importance-weighted bound: Burda, Grosse, Salakhutdinov, arXiv 1509.00519.

use super::latent::{Latent, LatentConfig};
use super::pixels::{reconstruction, reconstruction_once};
use crate::checks::real;
use crate::error::{Error, Result};
use crate::estimators::{Estimate, Estimator, Expectation, Setting};
use crate::nn::{Mlp, SparseProduct};
use crate::platform::device::is_host;
use crate::platform::limits::{check_shape, rows_at_once};
use crate::relaxation::{Forward, Pathwise};
use crate::sampler::{Backend, NoiseKey};
use crate::truncation::TruncatedDistribution;
use tch::nn::Path;
use tch::{Kind, Tensor, no_grad_guard};

/// The shape of a VAE.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Pixels of an image.
    pub pixels: i64,
    /// Widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<i64>,
    /// The latents.
    pub latent: LatentConfig,
}

/// Parts of a negative ELBO, in nats, each of shape `[B]`.
#[derive(Debug)]
pub struct Elbo {
    /// `-log p(x | z)`.
    pub reconstruction: Tensor,
    /// `KL(q(z | x) || p(z))`, the exact sum over atoms.
    pub kl: Tensor,
}

/// Bounds on `-log p(x)` from several hard samples, in nats, each of shape `[B]`.
#[derive(Debug)]
pub struct ImportanceBound {
    /// The negative ELBO's parts, the reconstruction averaged over the samples.
    pub elbo: Elbo,
    /// The negative importance-weighted bound.
    pub neg_iwae: Tensor,
    /// `E_q[z]`, `[B, decoder inputs]`.
    pub posterior_mean: Tensor,
}

/// The model.
#[derive(Debug)]
pub struct Vae {
    encoder: Mlp,
    decoder: Mlp,
    latent: Latent,
    pixels: i64,
}

/// Hard samples that are decoded at once in an evaluation: bounds memory, 10 x batch x pixels numbers.
const SAMPLES_AT_ONCE: i64 = 10;

/// Parameters of the largest model.
pub(crate) const MOST_PARAMETERS: i128 = 1 << 30;

/// Latents of the largest model.
const MAX_LATENTS: i64 = 1 << 30;

impl Vae {
    /// Parameters are created under `path`, named `encoder.0.weight`, `encoder.0.bias`, `encoder.2.weight`, ...
    ///
    /// # Errors
    /// When a width is below 1 or the parameters are too many, or prior and truncation do not fit the family.
    pub fn new(path: &Path, config: &VaeConfig) -> Result<Self> {
        if config.latent.latents > MAX_LATENTS {
            return Err(Error::parameter("number of latents", config.latent.latents, format!("at most {MAX_LATENTS}")));
        }
        let sound = |width: i64| width >= 1 && i128::from(width) <= MOST_PARAMETERS;
        if let Some(width) = config.hidden.iter().chain([&config.pixels]).find(|&&width| !sound(width)) {
            return Err(Error::parameter("width of a layer", width, "at least 1 and at most 2^30"));
        }
        let latent = Latent::new(&config.latent, path.device())?;
        let layers = [&[config.pixels], config.hidden.as_slice()].concat();
        let ends = layers
            .last()
            .map_or(0, |&last| i128::from(last) * i128::from(latent.encoder_width() + latent.decoder_width()));
        let inner: i128 = layers.windows(2).map(|pair| 2 * i128::from(pair[0]) * i128::from(pair[1])).sum();
        if inner + ends > MOST_PARAMETERS {
            return Err(Error::parameter(
                "number of parameters",
                inner + ends,
                "at most 2^30: take fewer latents, atoms or hidden units",
            ));
        }
        let widths = |first, last| [&[first], config.hidden.as_slice(), &[last]].concat();
        let encoder = Mlp::new(&(path / "encoder"), &widths(config.pixels, latent.encoder_width()));
        let mut decoder_widths = widths(config.pixels, latent.decoder_width());
        decoder_widths.reverse();
        Ok(Self { encoder, decoder: Mlp::new(&(path / "decoder"), &decoder_widths), latent, pixels: config.pixels })
    }

    /// `q(z | x)`, batch shape `[B, latents]`, of images `[B, pixels]` in `[0, 1]`.
    ///
    /// # Errors
    /// When there are no images, they have another number of pixels, are integers, lie on another device, or a pixel is
    /// not finite.
    pub fn posterior(&self, x: &Tensor) -> Result<TruncatedDistribution> {
        self.latent.posterior(&self.encoder.forward(&self.images(x)?))
    }

    /// The prior, batch shape `[]`, the same for every latent.
    pub fn prior(&self) -> &TruncatedDistribution {
        self.latent.prior()
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> i64 {
        self.pixels
    }

    /// The parameters, sharing memory with the model, under PyTorch's names: `encoder.0.weight`, `encoder.0.bias`, ...
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let parts = [("encoder", &self.encoder), ("decoder", &self.decoder)];
        let named = |(part, mlp): (&str, &Mlp)| {
            let parameters = mlp.parameters().into_iter();
            parameters.map(|(name, tensor)| (format!("{part}.{name}"), tensor)).collect::<Vec<_>>()
        };
        parts.into_iter().flat_map(named).collect()
    }

    /// How many linear layers encoder and decoder have.
    pub(crate) fn depths(&self) -> [usize; 2] {
        [self.encoder.depth(), self.decoder.depth()]
    }

    pub(crate) fn latent(&self) -> &Latent {
        &self.latent
    }

    /// Pixel logits `[..., pixels]` of latents as they were drawn (`[..., latents]`, one-hot ones `[..., latents, n]`),
    /// real numbers of any kind.
    ///
    /// # Errors
    /// When the latents have another shape, or lie on another device, or there are more than memory holds.
    pub fn decode(&self, z: &Tensor) -> Result<Tensor> {
        let atoms = self.prior().atoms();
        let mut last = vec![self.latent.latents()];
        if atoms.dim() == 2 {
            last.push(atoms.size()[1]);
        }
        if !z.defined() || z.numel() == 0 || !z.size().ends_with(&last) {
            let expected = format!("[..., {}]", last.iter().map(i64::to_string).collect::<Vec<_>>().join(", "));
            let found = if z.defined() { z.size() } else { Vec::new() };
            return Err(Error::Shape { what: "latents to decode".into(), found, expected });
        }
        self.same_device(z)?;
        let rows = &z.size()[..z.dim() - last.len()];
        check_shape("decoded images", &[rows, &[self.pixels]].concat(), Kind::Float)?;
        let z = real(z, "latents to decode", Kind::Float, z.device())?;
        Ok(self.logits(&z))
    }

    fn logits(&self, z: &Tensor) -> Tensor {
        self.decoder.forward(&self.decoder_input(z))
    }

    fn same_device(&self, tensor: &Tensor) -> Result<()> {
        let (found, own) = (tensor.device(), self.prior().device());
        if found == own {
            return Ok(());
        }
        Err(Error::Device(format!("a tensor lies on {found:?}, but the model on {own:?}: move it with `to_device`")))
    }

    /// Images as the network takes them: float32 `[B, pixels]`. Other floating-point kinds are converted. On the CPU
    /// the numbers are looked at; on another device, where that would have to be waited for, they are not.
    fn images(&self, x: &Tensor) -> Result<Tensor> {
        let found = if x.defined() { x.size() } else { Vec::new() };
        if !matches!(found[..], [count, pixels] if count > 0 && pixels == self.pixels) {
            let expected = format!("[B, {}], one row of pixels for each image and at least one image", self.pixels);
            return Err(Error::Shape { what: "images".into(), found, expected });
        }
        if !x.is_floating_point() {
            let allowed = "floating-point numbers from 0 to 1; divide bytes by 255";
            return Err(Error::parameter("kind of the images", format!("{:?}", x.kind()), allowed));
        }
        check_shape("images", &x.size(), Kind::Float)?;
        self.same_device(x)?;
        if is_host(x.device()) {
            let (least, greatest) = x.detach().f_aminmax(None, false)?;
            for extreme in [least, greatest].map(|extreme| extreme.double_value(&[])) {
                if !(0.0..=1.0).contains(&extreme) {
                    return Err(Error::parameter("a pixel", extreme, "from 0 to 1; divide bytes by 255"));
                }
            }
        }
        Ok(x.f_to_kind(Kind::Float)?)
    }

    fn decoder_input(&self, z: &Tensor) -> Tensor {
        let vectors = self.prior().atoms().dim() == 2;
        if vectors { z.flatten(-2, -1) } else { z.shallow_clone() }
    }

    /// `count` images from the prior, as pixel probabilities `[count, pixels]`.
    ///
    /// # Errors
    /// When the count is below 1 or above a million.
    pub fn generate(&self, count: i64) -> Result<Tensor> {
        let _guard = no_grad_guard();
        if !(1..=1_000_000).contains(&count) {
            return Err(Error::parameter("number of images to generate", count, "from 1 to 1000000"));
        }
        let z = self.prior().sample(&[count, self.latent.latents()])?;
        Ok(self.logits(&z).sigmoid())
    }

    /// Images decoded from one hard sample of their posterior, as pixel probabilities `[B, pixels]`.
    ///
    /// # Errors
    /// As [`posterior`](Self::posterior).
    pub fn reconstruct(&self, x: &Tensor) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let z = self.posterior(x)?.sample(&[])?;
        Ok(self.logits(&z).sigmoid())
    }

    /// The negative ELBO with one relaxed sample an image, as [`pathwise_elbo`](Self::pathwise_elbo).
    ///
    /// # Errors
    /// When the temperature is not allowed, and those of [`posterior`](Self::posterior).
    pub fn relaxed_elbo(&self, x: &Tensor, temperature: f64, forward: Forward, key: Option<NoiseKey>) -> Result<Elbo> {
        self.pathwise_elbo(x, Pathwise::Relaxed { temperature, forward }, key)
    }

    /// The negative ELBO with one sample an image that carries a gradient: what is trained. With a key, the noise is a
    /// function of it, and the one-pass sampler draws where it can (a CPU, a temperature above zero, not a categorical
    /// latent); without one, the noise comes from libtorch's generator.
    ///
    /// # Errors
    /// When the temperature is not allowed, an order above the first is asked of categorical latents, and those of
    /// [`posterior`](Self::posterior).
    pub fn pathwise_elbo(&self, x: &Tensor, how: Pathwise, key: Option<NoiseKey>) -> Result<Elbo> {
        let x = &self.images(x)?;
        self.decoded(&self.encoder.forward_once(x), x, how, key)
    }

    /// The same for training, at the cost of the pixels that are on, where that is less: then the weight that sees them
    /// is not in the graph, and its gradient goes by the product that is returned, for
    /// [`Adam::minimize_products`](crate::nn::Adam::minimize_products).
    ///
    /// # Errors
    /// As [`pathwise_elbo`](Self::pathwise_elbo).
    pub fn pathwise_elbo_sparse(
        &self,
        x: &Tensor,
        how: Pathwise,
        key: Option<NoiseKey>,
    ) -> Result<(Elbo, Option<SparseProduct>)> {
        let x = &self.images(x)?;
        let (encoded, product) = self.encoder.forward_sparse(x);
        Ok((self.decoded(&encoded, x, how, key)?, product))
    }

    fn decoded(&self, encoded: &Tensor, x: &Tensor, how: Pathwise, key: Option<NoiseKey>) -> Result<Elbo> {
        let (z, kl) = self.latent.rsample(encoded, how, key)?;
        let kl = kl.sum_dim_intlist(-1, false, None::<Kind>);
        let logits = self.decoder.forward_once(&self.decoder_input(&z));
        Ok(Elbo { reconstruction: reconstruction_once(&logits, x)?, kl })
    }

    /// The negative ELBO with its gradient by an estimator, from so many samples an image. For bounds of several
    /// samples, which include the prior, the parts still sum to the bound, and the KL carries no gradient.
    ///
    /// # Errors
    /// When the estimator is not made for these latents, or needs more samples.
    pub fn estimated_elbo(&self, x: &Tensor, estimator: &mut dyn Estimator, samples: i64) -> Result<Elbo> {
        let x = &self.images(x)?;
        let (q, family) = self.latent.posterior_and_family(&self.encoder.forward(x))?;
        let f = |z: &Tensor| reconstruction(&self.logits(z), x);
        let mut expectation = Expectation::new(&q, &f)?.samples(samples)?.context(x).prior(self.prior());
        if let Some(family) = &family {
            expectation = expectation.distribution(family.as_ref());
        }
        let Estimate { surrogate, info } = estimator.estimate(&expectation)?;
        let kl = self.kl(&q)?;
        if info.includes_prior {
            let kl = kl.detach();
            return Ok(Elbo { reconstruction: surrogate - &kl, kl });
        }
        Ok(Elbo { reconstruction: surrogate, kl })
    }

    /// What an estimator for this model is built from.
    pub fn estimator_setting(&self, temperature: f64) -> Setting {
        Setting {
            width: self.latent.decoder_width(),
            features: Some(self.pixels),
            temperature,
            device: self.prior().device(),
        }
    }

    /// What drew the last sample.
    pub fn drawn_by(&self) -> Option<Backend> {
        self.latent.drawn_by()
    }

    /// Bounds from `samples` hard samples an image, without gradient.
    ///
    /// # Errors
    /// When `samples` is below 1 or above a million.
    pub fn importance_bound(&self, x: &Tensor, samples: i64) -> Result<ImportanceBound> {
        if !(1..=1_000_000).contains(&samples) {
            return Err(Error::parameter("number of importance samples", samples, "from 1 to 1000000"));
        }
        let _guard = no_grad_guard();
        let x = &self.images(x)?;
        let q = self.posterior(x)?;
        let mut reconstructions = Vec::new();
        let mut log_ratios = Vec::new();
        for start in (0..samples).step_by(SAMPLES_AT_ONCE as usize) {
            let count = SAMPLES_AT_ONCE.min(samples - start);
            let z = q.sample(&[count])?;
            let log_ratio = self.prior().log_prob(&z)? - q.log_prob(&z)?;
            log_ratios.push(log_ratio.sum_dim_intlist(-1, false, None::<Kind>));
            reconstructions.push(reconstruction(&self.logits(&z), x));
        }
        let reconstructions = Tensor::cat(&reconstructions, 0);
        let log_weights = Tensor::cat(&log_ratios, 0) - &reconstructions;
        let neg_iwae = (samples as f64).ln() - log_weights.logsumexp(0, false);
        let elbo = Elbo { reconstruction: reconstructions.mean_dim(0, false, None::<Kind>), kl: self.kl(&q)? };
        let mean = q.mean();
        let posterior_mean = if mean.dim() == 3 { mean.flatten(-2, -1) } else { mean };
        Ok(ImportanceBound { elbo, neg_iwae, posterior_mean })
    }

    /// Images of whose posteriors a pass without a gradient keeps all atoms at once, with so many hard samples.
    pub fn images_at_once(&self, samples: i64) -> i64 {
        rows_at_once(&[samples.min(SAMPLES_AT_ONCE), self.latent.latents(), self.prior().len()])
    }

    fn kl(&self, q: &TruncatedDistribution) -> Result<Tensor> {
        Ok(q.kl(self.prior())?.sum_dim_intlist(-1, false, None::<Kind>))
    }
}
