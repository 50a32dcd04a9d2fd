//! `gengs-topics eval`: perplexity, coherence and diversity on test documents.

use super::tables::TableArgs;
use super::topics::set_corpus;
use anyhow::Context;
use clap::Args;
use gengs::Error;
use gengs::cli::{Trained, generator_seed, message_with_advice, print_line, print_status, warn};
use gengs::training::weights::FromFile;
use gengs::training::{
    OtherDocuments, TopicsEvaluation, TopicsShown, TopicsTask, TopicsTrainConfig, TrainedTopics, check_data,
    evaluate_documents, evaluate_topics, read_run_words, weights,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Explanations of the measures, for the long help.
const MEASURES: &str = "\
Measures on the held-out documents that have a word of the vocabulary, always from hard samples (integer counts), \
never from relaxed ones:
  completion perplexity   The tokens of each document with at least two are split at random into halves. The
                          model sees the first; p(w) is the mean, over 20 samples of the topics' counts, of the
                          probability of a word. exp(-sum log p / tokens) over the second halves
  ELBO perplexity         exp of the negative evidence lower bound per token: reconstruction plus the KL of all
                          layers, averaged over the samples. It bounds the probability of the tokens given their
                          number, for Poisson likelihoods too, so that all likelihoods can be compared.
                          By document: exp of the mean over documents of the bound divided by the document's tokens;
                          by word: exp of the sum of the bounds divided by the number of all tokens
  IWAE perplexity         Perplexity from the importance-weighted bound (Burda et al., arXiv 1509.00519), which is
                          tighter
  KL                      Of all layers, in nats a document; each layer's given a sample of the layer above
  NPMI                    Coherence. Mean over the pairs of a topic's 10 first words of log(p(a,b) / p(a) p(b))
                          / -log p(a,b), from the documents of the training part that hold the words; -1 for a
                          pair that never occurs. Then the mean over topics, by layer
  diversity               Distinct words among the 25 first of all topics of a layer, over 25 times their number
  NPMI with parents       Mean over the pairs of distinct words, one of a topic's ten and one of its parent's;
                          beside it the same over all pairs of topics of the two layers, which is what a
                          meaningless tree would have
  +-                      Standard error over the documents, to the first order: how far a measure would move with
                          other documents of the same source, other samples included. Of the difference of two
                          runs on the same documents, the error is smaller
  active topics           Topics whose posterior mean count has a variance above 0.01 over the documents
The words of a topic of the lowest layer are ordered by a weight. Log-linear topics: the square of the word's \
weight, if the weight is positive, times the information about it, which is the sum of the squares of the topic's \
mean count over the training documents that have the word; weights of rare words are shrunk. Other likelihoods: \
the probability. For a topic of an upper layer, the weight is the probability of the word in a document whose \
topics are those that this topic produces far more often than the other topics of its layer do.";

#[derive(Debug, Args)]
#[command(after_long_help = MEASURES)]
pub struct Eval {
    #[command(flatten)]
    trained: Trained,
    /// Evaluate these weights instead of a checkpoint: a .safetensors file, a torch.save file, or a TorchScript module
    /// (only its tensors are read; its code is not run)
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    weights: Option<PathBuf>,
    /// Present location of the run's documents; or other documents, which are counted with the run's vocabulary and
    /// rules, leaving out documents that the run was trained on
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    #[command(flatten)]
    table: TableArgs,
    /// Hard samples per document, for the ELBO and the importance-weighted bound
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    importance_samples: i64,
    /// Documents at once: what memory holds; changes no measure, but in its last digits
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch_size: u32,
    /// Where the randomness of the samples starts; a document's samples depend on it and on the document's number alone
    #[arg(long, default_value_t = 0, value_parser = generator_seed)]
    seed: i64,
}

impl Eval {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let result = self.evaluate()?;
        if self.trained.common.json {
            print_line(serde_json::to_string(&result)?)?;
        } else {
            show(&result)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn evaluate(&self) -> anyhow::Result<TopicsEvaluation> {
        let own = match &self.weights {
            Some(weights) => self.own_documents_with(weights),
            None => self.own_documents(),
        };
        match (own, &self.corpus) {
            (Err(error @ Error::OtherSettings { .. }), _) => Err(error.into()),
            (Err(error), Some(corpus)) if self.weights.is_none() => self.other_documents(corpus).with_context(|| {
                // The second error says why reading failed. The advice in the first one is meant for training.
                let reason = if let Error::OtherData { difference, .. } = error {
                    format!(" (it has {difference})")
                } else {
                    String::new()
                };
                format!(
                    "{corpus} is neither what the run was trained on{reason}, nor can it be counted by the run's words"
                )
            }),
            (Err(error @ Error::OtherData { .. }), None) => {
                let error = message_with_advice(&error);
                Err(anyhow::anyhow!("{error}; eval --corpus also takes other documents, in the run's own words"))
            }
            // The advice about words that are left out is meant for training.
            (Err(Error::NoWordLeft { problem, .. }), None) => Err(anyhow::anyhow!(problem)),
            (own, _) => Ok(own?),
        }
    }

    /// Evaluates the run's checkpoint on its test documents.
    fn own_documents(&self) -> gengs::Result<TopicsEvaluation> {
        let load = |config: &mut TopicsTrainConfig| set_corpus(config, self.corpus.as_deref());
        let (task, _, device) = self.trained.load::<TopicsTask>(load)?;
        let (samples, batch) = (self.importance_samples, self.batch_size as usize);
        evaluate_topics(task.model(), task.corpus(), samples, batch, self.seed, device)
    }

    /// Evaluates the weights of a file on the run's test documents.
    fn own_documents_with(&self, weights: &Path) -> gengs::Result<TopicsEvaluation> {
        let (folder, mut config, device) = self.trained.settings::<TopicsTrainConfig>()?;
        set_corpus(&mut config, self.corpus.as_deref());
        let FromFile { model, note, .. } = weights::read_topics(&config, weights, device)?;
        warn(note.as_slice());
        self.trained.report_data_paths(&folder, &config)?;
        let corpus = config.load()?;
        warn(check_data(&folder, &config, &corpus.identity()?)?.as_slice());
        read_run_words(&folder, config.text.clone())?;
        let (words, found) = (model.words(), corpus.vocabulary.len());
        if words != found as i64 {
            let problem = format!("its weights are for {words} words, but the run's vocabulary has {found}");
            return Err(Error::File { path: weights.into(), problem, cause: None });
        }
        evaluate_topics(&model, &corpus, self.importance_samples, self.batch_size as usize, self.seed, device)
    }

    /// Evaluates the run's checkpoint on documents of another source.
    fn other_documents(&self, corpus: &str) -> anyhow::Result<TopicsEvaluation> {
        let (folder, config, device) = self.trained.settings::<TopicsTrainConfig>()?;
        let checkpoint = &self.trained.checkpoint_args.checkpoint;
        let Some(shown) = TopicsShown::read(&folder, checkpoint)? else {
            anyhow::bail!(
                "the run is not finished: continue it with train --resume before you evaluate other documents"
            );
        };
        let trained = TrainedTopics::load(folder.path(), checkpoint, device)?;
        let OtherDocuments { documents, left_out, unknown, notes } =
            OtherDocuments::read(corpus, config.data_dir.as_deref(), &self.table.columns(None), &folder, &trained)?;
        notes.iter().for_each(print_status);
        let left_out = match left_out {
            Some(count) => format!("{count} with the words of a document that it was trained on are left out"),
            None => "the run does not record its training documents, so none of them is left out".into(),
        };
        print_status(format_args!(
            "{corpus} is not what the run was trained on: {} other documents are counted by the run's own vocabulary \
             and rules, which do not have \
             {unknown} of their words; {left_out}",
            documents.len()
        ));
        let (samples, batch) = (self.importance_samples, self.batch_size as usize);
        let layers = &shown.tree.layers;
        Ok(evaluate_documents(&trained.model, &documents, layers, samples, batch, self.seed, device)?)
    }
}

fn show(result: &TopicsEvaluation) -> anyhow::Result<()> {
    let TopicsEvaluation { documents, tokens, importance_samples, standard_errors: errors, .. } = result;
    let error = |error: Option<f64>, digits: usize| error.map_or(String::new(), |e| format!(" +- {e:.digits$}"));
    print_line(format_args!("{documents} test documents of {tokens} words, {importance_samples} hard samples each"))?;
    let completion = error(errors.completion_perplexity, 1);
    print_line(format_args!("completion perplexity  {:8.1}{completion}", result.completion_perplexity))?;
    for (name, [document, word], [of_document, of_word]) in [
        (
            "ELBO",
            [result.elbo_perplexity_document, result.elbo_perplexity_word],
            [errors.elbo_perplexity_document, errors.elbo_perplexity_word],
        ),
        (
            "IWAE",
            [result.iwae_perplexity_document, result.iwae_perplexity_word],
            [errors.iwae_perplexity_document, errors.iwae_perplexity_word],
        ),
    ] {
        let (of_document, of_word) = (error(of_document, 1), error(of_word, 1));
        print_line(format_args!(
            "{name} perplexity        {document:8.1}{of_document}   by document, {word:.1}{of_word} by word"
        ))?;
    }
    print_line(format_args!("KL                     {:8.2}{}   nats a document", result.kl, error(errors.kl, 2)))?;
    let number = |value: Option<f64>| value.map_or("    -".into(), |value| format!("{value:5.3}"));
    for (layer, npmi) in result.npmi.iter().enumerate() {
        let (diversity, active) = (result.diversity[layer], result.active_topics[layer]);
        let mut line =
            format!("layer {layer}: NPMI {}, diversity {diversity:5.3}, {active} topics active", number(*npmi));
        if let Some(parents) = result.parent_npmi.get(layer) {
            let (npmi, random) = (number(parents.npmi), number(parents.random));
            line.push_str(&format!(", NPMI with parents {npmi} (any pair: {random})"));
        }
        print_line(line)?;
    }
    Ok(())
}
