//! The encoder of a topic model as the source of a TorchScript module, in the form that libtorch keeps in an archive.
//!
//! `forward(counts)`, of word counts `[B, V]`, gives the posterior means of the counts of all layers from the lowest, one after the other, `[B, sum K]`, as
//! [`TopicModel::infer`](crate::models::TopicModel::infer) does. Log weights of the posteriors are formed as those of a VAE are.

use super::vae_source::{Attribute, SPECIAL, log_weights};
use crate::models::{FROM_ABOVE, Family, Inference, SMALLEST, TopicsConfig, before_softplus, count_shifts};
use std::fmt::Write;

/// The module.
#[derive(Debug)]
pub(crate) struct TopicsScript {
    /// The content of `code/__torch__.py`.
    pub source: String,
    /// Members that are numbers or texts.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Members that are tensors.
    pub tensors: Vec<Member>,
}

/// A tensor of the module.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name in the module.
    pub name: String,
    /// Its name in the model's store.
    pub variable: String,
    /// Whether it is trained.
    pub parameter: bool,
}

impl Member {
    /// `encoder.0.norm.bias` is called `layer0_norm_bias`, and `encoder.embedding.weight` `embedding_weight`.
    fn new(name: &str, parameter: bool) -> Self {
        let layer = if name.starts_with(|c: char| c.is_ascii_digit()) { "layer" } else { "" };
        Self { name: format!("{layer}{}", name.replace('.', "_")), variable: format!("encoder.{name}"), parameter }
    }

    /// `topics.0.weight`, of the counts of layer 0 given those above, is called `topics0_weight`.
    fn of_prior(layer: usize, part: &str) -> Self {
        Self { name: format!("topics{layer}_{part}"), variable: format!("topics.{layer}.{part}"), parameter: true }
    }
}

/// The module of a model of this shape, with `more` plain members.
pub(crate) fn topics_script(config: &TopicsConfig, more: Vec<(&'static str, Attribute)>) -> TopicsScript {
    let (explicit, implicit) = (config.inference == Inference::Explicit, config.inference == Inference::Implicit);
    let has_extra = implicit || config.family == Family::NegativeBinomial;
    let (hidden, all) = (config.hidden, config.topics.iter().sum::<i64>());
    let mut tensors = vec![
        Member::new("embedding.weight", true),
        Member::new("bias", true),
        Member::new("gate", true),
        Member::new("idf", false),
    ];
    let mut methods = String::new();
    let mut forward = format!(
        "  def forward(self: __torch__.Topics, counts: Tensor) -> Tensor:
    x = torch.to(counts, ops.prim.dtype(self.bias))
    weights = torch.log1p(x)
    tokens = torch.sum(x, [-1], True)
    telling = tokens / (tokens + torch.exp(self.gate))
    silence = torch.exp(self.gate) / (tokens + torch.exp(self.gate))
    sums = torch.matmul(weights, self.embedding_weight)
    squares = torch.sum(torch.square(weights * self.idf), [-1], True)
    directions = torch.narrow(sums, -1, {hidden}, {all}) / torch.sqrt(torch.clamp(squares, min=1e-06))
    h = torch.relu(torch.narrow(sums, -1, 0, {hidden}) + self.bias)\n"
    );
    let mut from = 0;
    let mut descent = Vec::new();
    for (l, &topics) in config.topics.iter().enumerate() {
        let mut linears = vec!["hidden", "output"];
        linears.extend(has_extra.then_some("extra"));
        for (part, members) in linears.iter().map(|part| (part, ["weight", "bias"])) {
            tensors.extend(members.map(|member| Member::new(&format!("{l}.{part}.{member}"), true)));
        }
        for norm in ["norm", "direction_norm"] {
            for (member, parameter) in
                [("weight", true), ("bias", true), ("running_mean", false), ("running_var", false)]
            {
                tensors.push(Member::new(&format!("{l}.{norm}.{member}"), parameter));
            }
        }
        let linear = |part: &str| format!("torch.linear(h, self.layer{l}_{part}_weight, self.layer{l}_{part}_bias)");
        let norm = |part: &str, x: &str| {
            let member = |member: &str| format!("self.layer{l}_{part}_{member}");
            let [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(member);
            format!("torch.batch_norm({x}, {weight}, {bias}, {mean}, {variance}, False, 0.1, 1e-05, False)")
        };
        let direction = format!("torch.narrow(directions, -1, {from}, {topics})");
        let extra = if has_extra { format!("    extra{l} = {}\n", linear("extra")) } else { String::new() };
        // Writing to a text cannot fail.
        let _ = write!(
            forward,
            "    h = torch.relu({})\n    tilt{l} = {} + {} * telling\n{extra}",
            linear("hidden"),
            norm("norm", &linear("output")),
            norm("direction_norm", &direction),
        );
        let last = config.atoms - 1;
        let body = if explicit {
            log_weights(config.family, (0, last), count_shifts(config.family, config.prior))
        } else {
            free_logits(topics, config.atoms, config.prior.ln())
        };
        let _ = write!(
            methods,
            "  def log_weights{l}(self: __torch__.Topics, output: Tensor) -> Tensor:\n{body}  def mean{l}(self: __torch__.Topics, output: Tensor) -> Tensor:\n    log_weights = (self).log_weights{l}(output, )\n    atoms = torch.arange(0, {}, dtype=ops.prim.dtype(log_weights), device=log_weights.device)\n    return torch.matmul(torch.exp(log_weights), atoms)\n",
            config.atoms
        );
        let (tilt, lean) = if l + 1 < config.topics.len() {
            tensors.extend(["weight", "bias"].map(|part| Member::of_prior(l, part)));
            (format!("tilt{l} + lean{l} * silence"), lean(config, l))
        } else {
            (format!("tilt{l}"), String::new())
        };
        let output = if has_extra { format!("torch.cat([extra{l}, {tilt}], -1)") } else { tilt };
        descent.push(format!("{lean}    mean{l} = (self).mean{l}({output}, )\n"));
        from += topics;
    }
    // A layer's posterior is known once that above is.
    forward.extend(descent.into_iter().rev());
    let means: Vec<String> = (0..config.topics.len()).map(|l| format!("mean{l}")).collect();
    let _ = writeln!(forward, "    return torch.cat([{}], -1)", means.join(", "));

    let mut attributes = vec![
        ("family", Attribute::Text(config.family.to_string())),
        ("inference", Attribute::Text(config.inference.to_string())),
        ("vocabulary_size", Attribute::Int(config.words)),
        ("truncation", Attribute::Int(config.atoms)),
        ("prior", Attribute::Float(config.prior)),
    ];
    attributes.extend(more);
    let named = |parameter: bool| -> String {
        let of_kind = tensors.iter().filter(|tensor| tensor.parameter == parameter);
        of_kind.map(|tensor| format!("\"{}\", ", tensor.name)).collect()
    };
    let mut members: String = tensors.iter().map(|tensor| format!("  {} : Tensor\n", tensor.name)).collect();
    for (name, value) in &attributes {
        let _ = writeln!(members, "  {name} : {}", value.kind());
    }
    let class = format!(
        "class Topics(Module):\n  __parameters__ = [{}]\n  __buffers__ = [{}]\n  training : bool\n{members}",
        named(true),
        named(false)
    );
    TopicsScript { source: [SPECIAL, &class, &methods, &forward].concat(), attributes, tensors }
}

/// By how much the means above move the tilts of a layer of a document that says nothing, as [`Layer`](super::Layer) has it.
fn lean(config: &TopicsConfig, l: usize) -> String {
    let own = before_softplus(config.prior * (1.0 - FROM_ABOVE));
    let tilt = match (config.inference, config.family) {
        (Inference::Explicit, Family::Poisson) => {
            format!("torch.log1p(-torch.exp(-rate{l})) + rate{l} - {:?}", before_softplus(config.prior))
        }
        _ => format!("torch.log(rate{l}) - {:?}", config.prior.ln()),
    };
    let above = l + 1;
    format!(
        "    rate{l} = torch.matmul(mean{above}, torch.exp(self.topics{l}_weight)) + torch.softplus(self.topics{l}_bias + {own:?}) + {SMALLEST:?}\n    lean{l} = {tilt}\n"
    )
}

/// Log weights from `output`, logits of each atom beside those of a Poisson law that the tilts, after them, choose.
fn free_logits(topics: i64, atoms: i64, log_mean: f64) -> String {
    format!(
        "    extra = torch.unflatten(torch.narrow(output, -1, 0, {}), -1, [{topics}, {atoms}])
    tilt = torch.unsqueeze(torch.narrow(output, -1, {}, {topics}) + {log_mean:?}, -1)
    k = torch.arange(0, {atoms}, dtype=ops.prim.dtype(output), device=output.device)
    return torch.log_softmax(tilt * k - torch.lgamma(k + 1.) + extra, -1)\n",
        topics * atoms,
        topics * atoms
    )
}
