//! A VAE as the source of a TorchScript module, in the form that libtorch keeps in an archive: Python with type
//! annotations, in which classes and functions of the same file are called `__torch__.NAME`.
//!
//! The module has the methods
//!
//! | method | what it computes |
//! |---|---|
//! | `encode(x)` | log weights of `q(z \| x)`, `[B, latents, n]`, of images `[B, pixels]` |
//! | `mean(log_weights)` | `E_q[z]`, `[B, latents]`, one-hot latents `[B, latents, n]` |
//! | `decode(z)` | pixel logits `[..., pixels]` |
//! | `reconstruct(x)`, `forward(x)` | pixel probabilities of the posterior's mean, without noise |
//!
//! Log weights equal those of [`Vae::posterior`], with the tails merged into the ends of the window. The functions in
//! `special.py` repeat [`crate::math::special`] term by term, in float64. Their numbers of continued-fraction levels
//! are computed here and written as constants.

use crate::math::special::levels;
use crate::models::{Family, Inference, Latent, SMALLEST, Vae};

/// The source of the special functions.
pub(super) const SPECIAL: &str = include_str!("special.py");

/// The number of the type float64 in TorchScript.
const FLOAT64: i64 = 7;

/// TorchScript source of a VAE, and its attributes.
#[derive(Debug)]
pub(crate) struct Script {
    /// The content of `code/__torch__.py`.
    pub source: String,
    /// Attributes of the class `Vae`: numbers and texts.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// An attribute of the module.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Attribute {
    Int(i64),
    Float(f64),
    Text(String),
}

impl Attribute {
    /// Returns the type of the attribute in TorchScript.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Attribute::Int(_) => "int",
            Attribute::Float(_) => "float",
            Attribute::Text(_) => "str",
        }
    }
}

/// The class of a linear layer.
const LINEAR: &str = r#"class Linear(Module):
  __parameters__ = ["weight", "bias", ]
  __buffers__ = []
  weight : Tensor
  bias : Tensor
  training : bool
  def forward(self: __torch__.Linear, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
"#;

/// Writes the class of a multilayer perceptron. As in `torch.nn.Sequential`, ReLUs take an index, too, so the linear
/// layers are named 0, 2, 4, ...
fn mlp(class: &str, layers: usize) -> String {
    let members: String =
        (0..layers).map(|i| format!("  __annotations__[\"{}\"] = __torch__.Linear\n", 2 * i)).collect();
    let steps: String = (0..layers)
        .map(|i| {
            let input = if i == 0 { "x" } else { "torch.relu(h)" };
            format!("    h = (getattr(self, \"{}\")).forward({input}, )\n", 2 * i)
        })
        .collect();
    format!(
        "class {class}(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n{members}  def \
         forward(self: __torch__.{class}, x: Tensor) -> Tensor:\n{steps}    return h\n"
    )
}

impl Vae {
    /// Writes the model as TorchScript, with additional attributes.
    pub(crate) fn script(&self, additional: Vec<(&'static str, Attribute)>) -> Script {
        let latent = self.latent();
        let mut attributes = attributes(latent);
        attributes.extend(additional);
        let members: String = attributes.iter().map(|(name, value)| format!("  {name} : {}\n", value.kind())).collect();
        let (posterior, mean, flatten) = (posterior(latent), mean(latent), flatten(latent));
        let vae = format!(
            r#"class Vae(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
{members}  encoder : __torch__.Encoder
  decoder : __torch__.Decoder
  def encode(self: __torch__.Vae, x: Tensor) -> Tensor:
    output = (self.encoder).forward(x, )
{posterior}  def mean(self: __torch__.Vae, log_weights: Tensor) -> Tensor:
{mean}  def decode(self: __torch__.Vae, z: Tensor) -> Tensor:
    return (self.decoder).forward({flatten}, )
  def reconstruct(self: __torch__.Vae, x: Tensor) -> Tensor:
    z = (self).mean((self).encode(x, ), )
    return torch.sigmoid((self).decode(z, ))
  def forward(self: __torch__.Vae, x: Tensor) -> Tensor:
    return (self).reconstruct(x, )
"#
        );
        let [encoder, decoder] = self.depths();
        let (encoder, decoder) = (mlp("Encoder", encoder), mlp("Decoder", decoder));
        Script { source: [SPECIAL, LINEAR, &encoder, &decoder, &vae].concat(), attributes }
    }
}

/// Returns the settings of the latents, under the names of the command line.
fn attributes(latent: &Latent) -> Vec<(&'static str, Attribute)> {
    let (lo, hi) = latent.window();
    let mut attributes = vec![
        ("family", Attribute::Text(latent.family().to_string())),
        ("inference", Attribute::Text(latent.inference().to_string())),
        ("latents", Attribute::Int(latent.latents())),
        ("first_atom", Attribute::Int(lo)),
        ("last_atom", Attribute::Int(hi)),
    ];
    attributes.extend(latent.prior_mean().map(|mean| ("prior", Attribute::Float(mean))));
    attributes
}

/// Writes the end of `encode`, from the encoder's `output` to log weights.
fn posterior(latent: &Latent) -> String {
    let (latents, n) = (latent.latents(), latent.prior().len());
    if latent.inference() == Inference::Implicit || latent.family() == Family::Categorical {
        return format!("    return torch.log_softmax(torch.unflatten(output, -1, [{latents}, {n}]), -1)\n");
    }
    log_weights(latent.family(), latent.window(), latent.shifts())
}

/// Writes a function body from the variable `output` of a network to log weights on the window `lo..=hi`. `a` is added
/// to the output first; for the negative binomial, `a` to its first half and `b` to its second.
pub(super) fn log_weights(family: Family, (lo, hi): (i64, i64), [a, b]: [f64; 2]) -> String {
    if lo == hi {
        // A law on one atom is certain, for all parameters.
        return "    return torch.unsqueeze(torch.zeros_like(output), -1)\n".replace("output", first_part(family));
    }
    // The parameters are computed in the dtype of `output`, then cast to float64, `[B, latents, 1]`.
    let parameters = match family {
        Family::Poisson => {
            let shifted = format!("torch.softplus(output + {a:?}) + {SMALLEST:?}");
            format!("    rate = torch.unsqueeze(torch.to({shifted}, {FLOAT64}), -1)\n")
        }
        Family::Geometric => log_p_and_log_q(&format!("torch.neg(output + {a:?})")),
        Family::NegativeBinomial => format!(
            "    halves = torch.chunk(output, 2, -1)\n    r = torch.unsqueeze(torch.to(torch.softplus(halves[0] + \
             {a:?}) + {:?}, {FLOAT64}), -1)\n{}",
            SMALLEST,
            log_p_and_log_q(&format!("halves[1] + {b:?}"))
        ),
        Family::Binomial | Family::Bernoulli | Family::Categorical => log_p_and_log_q(&format!("output + {a:?}")),
    };
    let log_pmf = match family {
        Family::Poisson => "torch.log(rate) * k - rate - torch.lgamma(k + 1.)",
        Family::Geometric => "log_q * k + log_p",
        Family::NegativeBinomial => "__torch__.log_gamma_ratio(r, k, ) - torch.lgamma(k + 1.) + r * log_q + log_p * k",
        // The Bernoulli law is the binomial law of one trial. A categorical law never comes here: `posterior` handles
        // it.
        Family::Binomial | Family::Bernoulli | Family::Categorical => &format!(
            "torch.lgamma({:?}) - torch.lgamma(k + 1.) - torch.lgamma({hi:?}. - k + 1.) + log_p * k + log_q * \
             ({hi:?}. - k)",
            hi as f64 + 1.0
        ),
    };
    // The support of all families begins at 0. If it has an end, the window ends there.
    let (below, above) = (lo > 0, !matches!(family, Family::Binomial | Family::Bernoulli));
    let (first, last) = (lo + i64::from(below), hi - i64::from(above));
    let mut code = parameters;
    let mut parts = Vec::new();
    if below {
        code += &tails(family, lo + 1, "at_most", "_");
        parts.push("at_most");
    }
    if first <= last {
        code += &format!(
            "    k = torch.arange({first}, {}, dtype={FLOAT64}, device=output.device)\n    inside = {log_pmf}\n",
            last + 1
        );
        parts.push("inside");
    }
    if above {
        code += &tails(family, hi, "_", "at_least");
        parts.push("at_least");
    }
    code + &format!("    return torch.to(torch.cat([{}], -1), ops.prim.dtype(output))\n", parts.join(", "))
}

/// Returns an expression with the shape of one parameter, `[B, latents]`.
fn first_part(family: Family) -> &'static str {
    match family {
        Family::NegativeBinomial => "torch.chunk(output, 2, -1)[0]",
        Family::Poisson | Family::Geometric | Family::Binomial | Family::Bernoulli | Family::Categorical => "output",
    }
}

/// Writes `log p` and `log (1 - p)` from log-odds.
fn log_p_and_log_q(logits: &str) -> String {
    format!(
        "    logits = torch.unsqueeze(torch.to({logits}, {FLOAT64}), -1)\n    log_p = torch.log_sigmoid(logits)\n    \
         log_q = \
         torch.log_sigmoid(torch.neg(logits))\n"
    )
}

/// Writes `log P(X < k)` and `log P(X >= k)`, for `k >= 1`, to the variables named `below` and `above`; `_` discards
/// one. The arguments of `levels` must be those in [`crate::math::special`].
fn tails(family: Family, k: i64, below: &str, above: &str) -> String {
    let size = k as f64;
    match family {
        Family::Geometric => format!("    {above} = log_q * {k}.\n    {below} = __torch__.log1mexp(log_q * {k}., )\n"),
        Family::NegativeBinomial => format!(
            "    factor = __torch__.log_gamma_ratio(r, torch.full_like(r, {k}.), ) - torch.lgamma({k}. + 1.) + r * \
             log_q + log_p * {k}. + torch.log({k}.)\n    {above}, {below} = __torch__.log_incomplete_beta({k}., r, \
             log_p, log_q, factor, {}, )\n",
            levels(34.0, 3.6, size)
        ),
        Family::Poisson | Family::Binomial | Family::Bernoulli | Family::Categorical => format!(
            "    {above}, {below} = __torch__.log_incomplete_gamma({k}, rate, {}, {}, )\n",
            levels(14.0, 2.4, size),
            levels(3.0, 2.6, size)
        ),
    }
}

/// Writes the body of `mean`.
fn mean(latent: &Latent) -> String {
    if latent.family() == Family::Categorical {
        return "    return torch.exp(log_weights)\n".into();
    }
    let (lo, hi) = latent.window();
    format!(
        "    atoms = torch.arange({lo}, {}, dtype=ops.prim.dtype(log_weights), device=log_weights.device)\n    return \
         torch.matmul(torch.exp(log_weights), atoms)\n",
        hi + 1
    )
}

/// Returns the expression of the decoder's input from `z`.
fn flatten(latent: &Latent) -> &'static str {
    if latent.family() == Family::Categorical { "torch.flatten(z, -2, -1)" } else { "z" }
}
