//! Writes the encoder of a topic model as source of a TorchScript module, in the form that libtorch stores in an
//! archive.
//!
//! `forward(counts)` maps word counts `[B, V]` to the posterior means of the counts of all layers, concatenated from
//! the lowest, `[B, sum K]`, as [`TopicModel::infer`](crate::models::TopicModel::infer) does. Log weights of the
//! posteriors are computed as in the export of a VAE.

use super::vae_source::{Attribute, SPECIAL, log_weights};
use crate::models::{FROM_ABOVE, Family, Inference, SMALLEST, TopicsConfig, before_softplus, count_shifts};
use std::fmt::Write;

/// The source of the module, and its members.
#[derive(Debug)]
pub(crate) struct TopicsScript {
    /// The content of `code/__torch__.py`.
    pub source: String,
    /// Members that are numbers or texts.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Members that are tensors.
    pub tensors: Vec<Member>,
}

/// A tensor member of the module.
#[derive(Debug)]
pub(crate) struct Member {
    /// The tensor's name in the module.
    pub name: String,
    /// The tensor's name in the model's store.
    pub variable: String,
    /// Whether the tensor is a parameter; else it is a buffer.
    pub parameter: bool,
}

impl Member {
    /// Makes a member of the encoder: `encoder.0.norm.bias` is named `layer0_norm_bias`, and `encoder.embedding.weight`
    /// is named `embedding_weight`.
    fn new(name: &str, parameter: bool) -> Self {
        let layer = if name.starts_with(|c: char| c.is_ascii_digit()) { "layer" } else { "" };
        Self { name: format!("{layer}{}", name.replace('.', "_")), variable: format!("encoder.{name}"), parameter }
    }

    /// Makes a member of the prior of layer `layer` given the layer above: `topics.0.weight` is named `topics0_weight`.
    fn of_prior(layer: usize, part: &str) -> Self {
        Self { name: format!("topics{layer}_{part}"), variable: format!("topics.{layer}.{part}"), parameter: true }
    }
}

/// Writes the module of a model of this shape, with the additional attributes.
pub(crate) fn topics_script(config: &TopicsConfig, additional: Vec<(&'static str, Attribute)>) -> TopicsScript {
    let mut writer = Writer::new(config);
    for layer in 0..config.topics.len() {
        writer.layer(layer);
    }
    let mut attributes = vec![
        ("family", Attribute::Text(config.family.to_string())),
        ("inference", Attribute::Text(config.inference.to_string())),
        ("vocabulary_size", Attribute::Int(config.words)),
        ("truncation", Attribute::Int(config.atoms)),
        ("prior", Attribute::Float(config.prior)),
    ];
    attributes.extend(additional);
    writer.finish(attributes)
}

/// The parts of the source, which grow layer by layer.
struct Writer<'a> {
    config: &'a TopicsConfig,
    /// Whether a layer's network has more than one output per topic.
    has_extra: bool,
    tensors: Vec<Member>,
    /// Methods `log_weights` and `mean` of each layer.
    methods: String,
    /// `forward` up to the highest layer so far: the encoder's networks.
    forward: String,
    /// The rest of `forward`, layer by layer from the lowest; it runs in reverse, since a posterior depends on the
    /// layer above.
    descent: Vec<String>,
    /// Number of topics of the layers so far.
    topics: i64,
}

impl<'a> Writer<'a> {
    /// Writes the part before the layers.
    fn new(config: &'a TopicsConfig) -> Self {
        let (hidden, all) = (config.hidden, config.topics.iter().sum::<i64>());
        let forward = format!(
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
        let tensors = vec![
            Member::new("embedding.weight", true),
            Member::new("bias", true),
            Member::new("gate", true),
            Member::new("idf", false),
        ];
        let has_extra = config.inference == Inference::Implicit || config.family == Family::NegativeBinomial;
        Self { config, has_extra, tensors, methods: String::new(), forward, descent: Vec::new(), topics: 0 }
    }

    /// Writes layer `l`.
    fn layer(&mut self, l: usize) {
        let config = self.config;
        self.layer_tensors(l);
        self.layer_up(l);
        self.layer_methods(l);
        let (tilt, lean) = if l + 1 < config.topics.len() {
            self.tensors.extend(["weight", "bias"].map(|part| Member::of_prior(l, part)));
            (format!("tilt{l} + lean{l} * silence"), lean(config, l))
        } else {
            (format!("tilt{l}"), String::new())
        };
        let output = if self.has_extra { format!("torch.cat([extra{l}, {tilt}], -1)") } else { tilt };
        self.descent.push(format!("{lean}    mean{l} = (self).mean{l}({output}, )\n"));
        self.topics += config.topics[l];
    }

    /// Adds the tensors of the encoder of layer `l`.
    fn layer_tensors(&mut self, l: usize) {
        let extra = self.has_extra.then_some("extra");
        for part in ["hidden", "output"].into_iter().chain(extra) {
            self.tensors.extend(["weight", "bias"].map(|member| Member::new(&format!("{l}.{part}.{member}"), true)));
        }
        let members = [("weight", true), ("bias", true), ("running_mean", false), ("running_var", false)];
        for norm in ["norm", "direction_norm"] {
            let named = |(member, parameter)| Member::new(&format!("{l}.{norm}.{member}"), parameter);
            self.tensors.extend(members.map(named));
        }
    }

    /// Writes the network of layer `l`: from the layer below, or the words, to the tilt of the layer's topics.
    fn layer_up(&mut self, l: usize) {
        let linear = |part: &str| format!("torch.linear(h, self.layer{l}_{part}_weight, self.layer{l}_{part}_bias)");
        let norm = |part: &str, x: &str| {
            let member = |member: &str| format!("self.layer{l}_{part}_{member}");
            let [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(member);
            format!("torch.batch_norm({x}, {weight}, {bias}, {mean}, {variance}, False, 0.1, 1e-05, False)")
        };
        let direction = format!("torch.narrow(directions, -1, {}, {})", self.topics, self.config.topics[l]);
        let extra = if self.has_extra { format!("    extra{l} = {}\n", linear("extra")) } else { String::new() };
        // Writing to a `String` cannot fail.
        let _ = write!(
            self.forward,
            "    h = torch.relu({})\n    tilt{l} = {} + {} * telling\n{extra}",
            linear("hidden"),
            norm("norm", &linear("output")),
            norm("direction_norm", &direction),
        );
    }

    /// Writes the methods of layer `l` that map the network's output to its posterior.
    fn layer_methods(&mut self, l: usize) {
        let &TopicsConfig { family, inference, atoms, prior, .. } = self.config;
        let body = match inference {
            Inference::Explicit => log_weights(family, (0, atoms - 1), count_shifts(family, prior)),
            Inference::Implicit => free_logits(self.config.topics[l], atoms, prior.ln()),
        };
        let _ = write!(
            self.methods,
            "  def log_weights{l}(self: __torch__.Topics, output: Tensor) -> Tensor:
{body}  def mean{l}(self: __torch__.Topics, output: Tensor) -> Tensor:
    log_weights = (self).log_weights{l}(output, )
    atoms = torch.arange(0, {atoms}, dtype=ops.prim.dtype(log_weights), device=log_weights.device)
    return torch.matmul(torch.exp(log_weights), atoms)\n"
        );
    }

    /// Puts the parts together.
    fn finish(mut self, attributes: Vec<(&'static str, Attribute)>) -> TopicsScript {
        self.forward.extend(self.descent.into_iter().rev());
        let means: Vec<String> = (0..self.config.topics.len()).map(|l| format!("mean{l}")).collect();
        let _ = writeln!(self.forward, "    return torch.cat([{}], -1)", means.join(", "));
        let named = |parameter: bool| -> String {
            let of_kind = self.tensors.iter().filter(|tensor| tensor.parameter == parameter);
            of_kind.map(|tensor| format!("\"{}\", ", tensor.name)).collect()
        };
        let mut members: String = self.tensors.iter().map(|tensor| format!("  {} : Tensor\n", tensor.name)).collect();
        for (name, value) in &attributes {
            let _ = writeln!(members, "  {name} : {}", value.kind());
        }
        let class = format!(
            "class Topics(Module):\n  __parameters__ = [{}]\n  __buffers__ = [{}]\n  training : bool\n{members}",
            named(true),
            named(false)
        );
        let source = [SPECIAL, &class, &self.methods, &self.forward].concat();
        TopicsScript { source, attributes, tensors: self.tensors }
    }
}

/// Writes the shift of the tilts of layer `l` that the means of the layer above cause in a document without words.
fn lean(config: &TopicsConfig, l: usize) -> String {
    let own = before_softplus(config.prior * (1.0 - FROM_ABOVE));
    let tilt = match (config.inference, config.family) {
        (Inference::Explicit, Family::Poisson) => {
            format!("torch.log1p(-torch.exp(-rate{l})) + rate{l} - {:?}", before_softplus(config.prior))
        }
        (Inference::Implicit, _)
        | (
            Inference::Explicit,
            Family::Geometric | Family::NegativeBinomial | Family::Binomial | Family::Bernoulli | Family::Categorical,
        ) => format!("torch.log(rate{l}) - {:?}", config.prior.ln()),
    };
    let above = l + 1;
    let from_above = format!("torch.matmul(mean{above}, torch.exp(self.topics{l}_weight))");
    let alone = format!("torch.softplus(self.topics{l}_bias + {own:?})");
    format!("    rate{l} = {from_above} + {alone} + {SMALLEST:?}\n    lean{l} = {tilt}\n")
}

/// Writes log weights from `output`: first one logit per atom and topic, then the tilts, each of which selects a
/// Poisson law that is added.
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
