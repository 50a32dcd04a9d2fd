//! `gengs-topics eval`.

use super::tables::TableArgs;
use super::topics::place;
use anyhow::Context;
use clap::Args;
use gengs::Error;
use gengs::cli::{Trained, generator_seed, print_line, print_status, said, warn};
use gengs::training::weights::FromFile;
use gengs::training::{
    OtherDocuments, TopicsEvaluation, TopicsShown, TopicsTask, TopicsTrainConfig, TrainedTopics, check_data,
    evaluate_documents, evaluate_topics, read_run_words, weights,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the numbers mean.
const MEASURES: &str = "\
Measures, on the documents that were held out for testing and have a word; all from hard samples (integer counts), \
never relaxed ones:
  completion perplexity   The tokens of each document with at least two are split at random into halves. The
                          model sees the first; p(w) is the mean, over 20 samples of the topics' counts, of the
                          probability of a word. exp(-sum log p / tokens) over the second halves
  ELBO perplexity         exp of the negative evidence lower bound a token: reconstruction plus the KL of all
                          layers, averaged over the samples. Of the tokens given how many a document has, also
                          where the law of counts is Poisson, so that all laws of words can be compared.
                          By document: the mean over documents of each one's bound over its tokens; by word: the
                          sum of bounds over the sum of tokens
  IWAE perplexity         The same of the importance-weighted bound (Burda et al., arXiv 1509.00519), which is
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
The words of a topic of the lowest layer, and their order: of log-linear topics, by the square of the word's
weight, where it is positive, times the information about it, which is the sum of the squares of the topic's
mean count over the training documents that have the word; weights of words that few documents have are shrunk.
Of topics that add up, by probability. The words of an upper topic are those of a document that has only the
topics that it brings forth far more than others of its layer do.";

#[derive(Debug, Args)]
#[command(after_long_help = MEASURES)]
pub struct Eval {
    #[command(flatten)]
    trained: Trained,
    /// Evaluate these weights in place of a checkpoint's: a file of safetensors, of torch.save, or a TorchScript module
    /// (which is code: here only its tensors are read, nothing in it runs)
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    weights: Option<PathBuf>,
    /// Where the run's documents are now; or other documents, which are then counted by the run's own vocabulary and
    /// rules, without those that it was trained on
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    #[command(flatten)]
    table: TableArgs,
    /// Hard samples a document, for the ELBO and the importance-weighted bound
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
            (Err(error), Some(corpus)) if self.weights.is_none() => self.other_documents(corpus).with_context(|| {
                // Of an error of reading it, the other sentence tells; what that advises is for training.
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
                let error = said(&error);
                Err(anyhow::anyhow!("{error}; eval --corpus also takes other documents, in the run's own words"))
            }
            // What an error advises on words that are left out is for training.
            (Err(Error::NoWordLeft { problem, .. }), None) => Err(anyhow::anyhow!(problem)),
            (own, _) => Ok(own?),
        }
    }

    /// The run's checkpoint on its test documents.
    fn own_documents(&self) -> gengs::Result<TopicsEvaluation> {
        let load = |config: &mut TopicsTrainConfig| place(config, self.corpus.as_deref());
        let (task, _, device) = self.trained.load::<TopicsTask>(load)?;
        let (samples, batch) = (self.importance_samples, self.batch_size as usize);
        evaluate_topics(task.model(), task.corpus(), samples, batch, self.seed, device)
    }

    /// The weights of a file on the run's test documents.
    fn own_documents_with(&self, weights: &Path) -> gengs::Result<TopicsEvaluation> {
        let (folder, mut config, device) = self.trained.settings::<TopicsTrainConfig>()?;
        place(&mut config, self.corpus.as_deref());
        let FromFile { model, note, .. } = weights::read_topics(&config, weights, device)?;
        warn(note.as_slice());
        self.trained.name_data(&folder, &config)?;
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

    /// The run's checkpoint on documents of another source.
    fn other_documents(&self, corpus: &str) -> anyhow::Result<TopicsEvaluation> {
        let (folder, config, device) = self.trained.settings::<TopicsTrainConfig>()?;
        let checkpoint = &self.trained.checkpoint_args.checkpoint;
        let Some(shown) = TopicsShown::read(&folder, checkpoint)? else {
            anyhow::bail!(
                "the run has not come to its end: go on with train --resume before other documents are evaluated"
            );
        };
        let trained = TrainedTopics::load(folder.path(), checkpoint, device)?;
        let OtherDocuments { documents, left_out, unknown, notes } =
            OtherDocuments::read(corpus, config.data_dir.as_deref(), &self.table.columns(None), &folder, &trained)?;
        notes.iter().for_each(print_status);
        let left_out = match left_out {
            Some(count) => format!("{count} with the words of a document that it was trained on are left out"),
            None => "which of them it was trained on, a run of this age does not know".into(),
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
