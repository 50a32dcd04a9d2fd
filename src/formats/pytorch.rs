//! Reads weights from files that PyTorch writes: `torch.save`, in today's format and in the format before 1.6, and
//! TorchScript.
//!
//! The pickles in the files are read as data (`pickle.rs`). Only the attributes of a TorchScript module are read. No
//! code of a file runs.

use super::archive::Archive;
use super::pickle::{Call, Id, Pickle, Value};
use super::rebuild::{Rebuilder, Storages, description};
use crate::platform::budget::{self, Budget};
use std::collections::{HashMap, HashSet};
use tch::Tensor;

/// Tensors by name, in the order of the file.
pub(crate) type Named = Vec<(String, Tensor)>;

/// Why a file has no weights that can be read.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The file is incomplete, or is not in the format that it starts as.
    Damaged(String),
    /// Python can convert the file to a readable one. `what` says what the file holds, `code` is Python that converts
    /// `sys.argv[1]` to `sys.argv[2]`.
    Foreign { what: String, code: String },
    /// The file asks Python for something that PyTorch never writes.
    Suspicious(String),
}

impl Problem {
    /// Makes the problem that a tensor has an element type that is not read. `load` is Python that loads the tensors.
    pub fn unread_kind(name: &str, kind: &str, load: &str) -> Self {
        Problem::Foreign {
            what: format!("its tensor {name} holds numbers of the kind {kind}, which are not read"),
            code: format!("torch.save({{k: v.float() for k, v in {load}.items()}}, sys.argv[2])"),
        }
    }
}

impl<T: Into<String>> From<T> for Problem {
    fn from(text: T) -> Self {
        Problem::Damaged(text.into())
    }
}

/// The first bytes of a file of PyTorch before 1.6: `pickle.dumps(0x1950a86a20f9469cfc6c, protocol=2)`.
pub(crate) const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// The deepest nesting of modules: more than any model has, and few enough for the stack.
const MAX_MODULE_DEPTH: usize = 64;

/// Reads the tensors of a zip archive.
pub(crate) fn from_archive(bytes: &[u8]) -> Result<Named, Problem> {
    let mut archive = Archive::open(bytes)?;
    if archive.entry("byteorder")?.is_some_and(|order| order != b"little") {
        return Err("it was saved on a machine with another order of bytes".into());
    }
    let data = archive.needed("data.pkl")?;
    let pickle = Pickle::read(&data).map_err(|problem| format!("data.pkl holds {problem}"))?;
    let mut rebuilder = Rebuilder::new(&pickle, Storages::Archive(archive), Budget::of_tensors(bytes.len()));
    match pickle.root() {
        Value::Call(call) if is_script(&pickle, call) => {
            let mut script = Script { rebuilder, named: Vec::new(), visited: 0, members: HashMap::new() };
            script.module(call, "", 0)?;
            check_distinct(script.named)
        }
        root => from_root(&pickle, root, &mut rebuilder),
    }
}

/// Reads the tensors of a file of PyTorch before 1.6. It holds five pickles (a magic number, a version, the machine,
/// the object, the storages' keys), then the storages, each after its number of elements.
pub(crate) fn from_legacy(bytes: &[u8]) -> Result<Named, Problem> {
    let mut offset = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[offset..])?;
        offset += pickle.length;
        Ok::<_, String>(pickle)
    };
    let (_, _, machine, object, keys) = (next()?, next()?, next()?, next()?, next()?);
    let little = machine.items(machine.root()).unwrap_or_default().iter().any(|&(key, value)| {
        matches!(machine.get(key), Value::Text("little_endian")) && matches!(machine.get(value), Value::Bool(true))
    });
    if !little {
        return Err("it was saved on a machine with another order of bytes".into());
    }
    let mut widths = HashMap::new();
    for id in object.persistent_ids() {
        if let Some((Ok((_, width)), key, _)) = description(&object, id) {
            widths.insert(key, width);
        }
    }
    let Value::List(list) = keys.root() else { return Err("its storages have no list of keys".into()) };
    let mut storages = HashMap::new();
    for &key in list {
        let &Value::Text(key) = keys.get(key) else { return Err("a storage's key is no text".into()) };
        // Storages that no tensor describes belong to an object that is refused below.
        let Some(&width) = widths.get(key) else { break };
        let rest = bytes.get(offset + 8..).ok_or_else(|| format!("it ends before storage {key}"))?;
        let count = bytes[offset..offset + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let length = count.checked_mul(width).filter(|&length| length <= rest.len() as u64);
        let length = length.ok_or_else(|| format!("it ends inside storage {key}"))? as usize;
        storages.insert(key, &rest[..length]);
        offset += 8 + length;
    }
    let mut rebuilder = Rebuilder::new(&object, Storages::Legacy(storages), Budget::of_tensors(bytes.len()));
    from_root(&object, object.root(), &mut rebuilder)
}

/// Returns whether a call builds an object of a TorchScript class.
fn is_script(pickle: &Pickle, call: &Call) -> bool {
    pickle.function(call).is_some_and(|(module, _)| module == "__torch__" || module.starts_with("__torch__."))
}

/// Reads a dict of tensors. Other objects are refused, with Python code that converts them if there is any.
fn from_root(pickle: &Pickle, root: &Value, rebuilder: &mut Rebuilder) -> Result<Named, Problem> {
    if let Some(items) = pickle.items(root).filter(|items| !items.is_empty()) {
        if items.iter().all(|&(_, value)| rebuilder.is_tensor(value)) {
            let mut named = Named::new();
            for &(key, value) in items {
                let &Value::Text(name) = pickle.get(key) else { return Err("a tensor's name is no text".into()) };
                check_name(name)?;
                if let Some(kind) = rebuilder.unread_kind(value) {
                    return Err(Problem::unread_kind(name, kind, &load(pickle)));
                }
                named.push(named_tensor(rebuilder, name, value)?);
            }
            return check_distinct(named);
        }
        return Err(checkpoint_problem(pickle, items, rebuilder));
    }
    Err(match root {
        Value::Call(_) if is_tensor(pickle, root) => "it holds one tensor without a name".into(),
        Value::Call(call) if call.state.is_some() => whole_module(pickle, call),
        _ => "it holds no dict of tensors".into(),
    })
}

/// Reads a tensor with its name; both count against the budget.
fn named_tensor(rebuilder: &mut Rebuilder, name: &str, value: Id) -> Result<(String, Tensor), String> {
    check_name(name)?;
    rebuilder.budget.spend(name.len() as u64 + budget::TENSOR)?;
    let tensor = rebuilder.tensor(value).map_err(|problem| format!("{name}: {problem}"))?;
    Ok((name.to_string(), tensor))
}

/// Checks the length of a tensor's name.
fn check_name(name: &str) -> Result<(), String> {
    if name.len() <= budget::NAME {
        return Ok(());
    }
    let start: String = name.chars().take(40).collect();
    Err(format!("the name of a tensor that begins with {start:?} has more than {} bytes", budget::NAME))
}

/// Checks that no name occurs twice; a dict of Python's cannot hold a name twice.
fn check_distinct(named: Named) -> Result<Named, Problem> {
    let mut names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two tensors have the name {}", pair[0]).into()),
        None => Ok(named),
    }
}

fn is_tensor(pickle: &Pickle, value: &Value) -> bool {
    matches!(value, Value::Call(call) if pickle.function(call).is_some_and(|(module, _)| module == "torch._utils"))
}

/// Makes the problem of a checkpoint: a dict with other values than tensors, possibly a dict of tensors among them.
fn checkpoint_problem(pickle: &Pickle, items: &[(Id, Id)], rebuilder: &Rebuilder) -> Problem {
    let load = load(pickle);
    let is_plain_name = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let mut keys: Vec<&str> = items
        .iter()
        .filter_map(|&(key, value)| match pickle.get(key) {
            Value::Text(key) if is_plain_name(key) => {
                let inner = pickle.items(pickle.get(value)).filter(|inner| !inner.is_empty())?;
                inner.iter().all(|&(_, value)| rebuilder.is_tensor(value)).then_some(*key)
            }
            _ => None,
        })
        .collect();
    keys.sort_by_key(|key| !["state_dict", "model_state_dict", "model"].contains(key));
    if let Some(key) = keys.first() {
        return Problem::Foreign {
            what: format!("it holds a checkpoint, whose weights lie under '{key}'"),
            code: format!("torch.save({load}['{key}'], sys.argv[2])"),
        };
    }
    if items.iter().any(|&(_, value)| rebuilder.is_tensor(value)) {
        return Problem::Foreign {
            what: "it holds other things beside tensors".into(),
            code: format!("torch.save({{k: v for k, v in {load}.items() if torch.is_tensor(v)}}, sys.argv[2])"),
        };
    }
    "it holds a dict without tensors".into()
}

/// Makes the problem of a module that was pickled whole: Python needs to import its class by name.
fn whole_module(pickle: &Pickle, call: &Call) -> Problem {
    let (module, name) = pickle.function(call).unwrap_or(("", "unknown"));
    // A name that Python does not allow cannot be that of a class, and must not be put into a command.
    if !module.split('.').all(is_identifier) || !name.split('.').all(is_identifier) {
        return Problem::Suspicious(
            "it holds a whole pickled module, whose class has a name that no class can have".into(),
        );
    }
    let import = match module {
        "__main__" => format!("from SCRIPT import {name}; "),
        _ => String::new(),
    };
    let hint = if import.is_empty() { "" } else { ", with the file that defines the class in place of SCRIPT" };
    Problem::Foreign {
        what: format!(
            "it holds a whole pickled module of class {module}.{name}, which only Python can rebuild, running code of \
             the file: do so if you trust it{hint}"
        ),
        code: format!("{import}torch.save(torch.load(sys.argv[1], weights_only=False).state_dict(), sys.argv[2])"),
    }
}

/// Returns whether a text is an identifier of Python.
fn is_identifier(text: &str) -> bool {
    let is_letter = |letter: char| letter == '_' || letter.is_alphabetic();
    text.len() <= 200 && text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// Returns Python that loads the file, without running code from the file if that is possible.
fn load(pickle: &Pickle) -> String {
    let harmless = pickle.globals().all(|(module, name)| {
        matches!((module, name), ("collections", "OrderedDict" | "defaultdict"))
            || (module == "torch._utils" && name.starts_with("_rebuild_"))
            || (module == "torch" && (name.ends_with("Storage") || name == "Size" || name.starts_with("float8_")))
    });
    format!("torch.load(sys.argv[1], weights_only={})", if harmless { "True" } else { "False" })
}

/// Reads a TorchScript module. The sources of its classes list their parameters and buffers.
struct Script<'a> {
    rebuilder: Rebuilder<'a>,
    named: Named,
    /// The number of attributes visited so far.
    visited: usize,
    /// Names of parameters and buffers by class.
    members: HashMap<(&'a str, &'a str), HashSet<String>>,
}

impl<'a> Script<'a> {
    /// Reads the tensors of a module and of the modules in it; their names start with `prefix`.
    fn module(&mut self, call: &'a Call, prefix: &str, depth: usize) -> Result<(), Problem> {
        let pickle = self.rebuilder.pickle;
        let (Some(class), Some(state)) = (pickle.function(call), call.state) else {
            return Err(format!("module '{prefix}' has no class or no attributes").into());
        };
        if depth > MAX_MODULE_DEPTH {
            return Err(format!("its modules nest more than {MAX_MODULE_DEPTH} deep").into());
        }
        self.read_class(class)?;
        for &(key, value) in pickle.items(pickle.get(state)).unwrap_or_default() {
            // A module may be shared by several modules, and these, too. A crafted file can so multiply its modules
            // without bound; real files stay far below this limit.
            self.visited += 1;
            if self.visited > 1 << 19 {
                return Err("its modules hold each other too often".into());
            }
            let &Value::Text(key) = pickle.get(key) else { return Err("an attribute's name is no text".into()) };
            check_name(key)?;
            let name = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
            check_name(&name)?;
            match pickle.get(value) {
                Value::Call(inner) if is_script(pickle, inner) && inner.state.is_some() => {
                    self.module(inner, &name, depth + 1)?;
                }
                _ if self.members[&class].contains(key) && self.rebuilder.is_tensor(value) => {
                    self.named.push(named_tensor(&mut self.rebuilder, &name, value)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the names of a class's parameters and buffers from its source. Tensors that are neither are no weights.
    fn read_class(&mut self, class: (&'a str, &'a str)) -> Result<(), Problem> {
        if self.members.contains_key(&class) {
            return Ok(());
        }
        let (module, name) = class;
        let Storages::Archive(archive) = &mut self.rebuilder.storages else { return Err("it is no archive".into()) };
        let source = archive.needed(&format!("code/{}.py", module.replace('.', "/")))?;
        let source = String::from_utf8(source).map_err(|_| format!("the source of {module} is not UTF-8"))?;
        let head = format!("class {name}(Module):");
        let body = source.lines().skip_while(|line| line.trim_end() != head).skip(1);
        let lists = body.take_while(|line| line.starts_with(' ')).filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("__parameters__ = [").or_else(|| line.strip_prefix("__buffers__ = ["))
        });
        let names = lists.flat_map(|list| list.trim_end_matches(']').split(','));
        let mut members = HashSet::new();
        for name in names.map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()) {
            // Many classes may share one source, so that each name counts against the budget.
            self.rebuilder.budget.spend(name.len() as u64 + budget::MEMBER)?;
            members.insert(name.to_string());
        }
        self.members.insert(class, members);
        Ok(())
    }
}
