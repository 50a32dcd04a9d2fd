//! Reads pickles as data, without building the objects that they describe.
//!
//! A pickle is a program for a stack machine that may import and call anything. The machine here knows plain values; it
//! records an import or a call that Python would make, but neither imports nor calls anything.
//!
//! Values lie in one list and refer to each other by index, so that nested values need no recursion. They borrow their
//! texts from the pickle.
//!
//! # Source
//! `pickletools.py` of CPython 3.11, protocols 2 to 5 (PyTorch writes protocol 2).

use std::collections::HashMap;

/// The most values of a pickle, so that a small file cannot fill the memory: they take 25 MB, enough for 20,000
/// tensors.
const MAX_VALUES: usize = 1 << 19;

/// The most elements of all tuples, lists and dicts together: they take 4 MB, and up to 12 MB while lists grow.
const MAX_ELEMENTS: usize = 1 << 20;

/// The index of a value in its [`Pickle`].
pub(crate) type Id = u32;

/// A value of a pickle.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// An import, by module and name.
    Global(&'a str, &'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Call(Box<Call>),
    /// An object stored outside the pickle, by the tuple that describes it.
    Persistent(Id),
    /// A float, bytes, or a long integer, which weights do not use.
    Other,
}

/// A call that Python would make.
#[derive(Debug)]
pub(crate) struct Call {
    pub function: Id,
    pub arguments: Id,
    /// The items that are set in the result, as in a dict.
    pub items: Vec<(Id, Id)>,
    /// The state that is given to the result, as to `__setstate__`.
    pub state: Option<Id>,
}

/// A pickle that was read to its end.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    /// The length of the pickle in bytes.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`. The error says in a few words what is wrong.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let (values, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Machine { bytes, at: 0, values, stack, marks, memo, elements: 0 }.run()
    }

    /// Returns the value that the pickle describes.
    pub fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    /// Returns a value by its index.
    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// Iterates over the imports of the pickle.
    pub fn globals(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values.iter().filter_map(|value| match value {
            Value::Global(module, name) => Some((*module, *name)),
            _ => None,
        })
    }

    /// Iterates over the objects stored outside the pickle.
    pub fn persistent_ids(&self) -> impl Iterator<Item = Id> {
        (0..self.values.len() as Id).filter(|&id| matches!(self.get(id), Value::Persistent(_)))
    }

    /// Returns the function that a call calls, as module and name; `None` if it is not an import.
    pub fn function(&self, call: &Call) -> Option<(&'a str, &'a str)> {
        match self.get(call.function) {
            Value::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// Returns the elements of a tuple; `None` for other values.
    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the items of a dict or an `OrderedDict`; `None` for other values.
    pub fn items<'v>(&self, value: &'v Value<'a>) -> Option<&'v [(Id, Id)]> {
        match value {
            Value::Dict(items) => Some(items),
            Value::Call(call) if self.function(call) == Some(("collections", "OrderedDict")) => Some(&call.items),
            _ => None,
        }
    }
}

/// The stack machine, with the rest of the pickle from byte `at`.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// The number of elements of tuples, lists and dicts so far.
    elements: usize,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Pickle<'a>, String> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { values: self.values, root, length: self.at });
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // The protocol version; and frames, which only help buffered readers.
            0x80 => self.take(1).map(|_| ()),
            0x95 => self.take(8).map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                self.check_count(self.marks.len())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.take_to_mark().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.number(1).and_then(|x| self.push(Value::Int(x as i64))),
            b'M' => self.number(2).and_then(|x| self.push(Value::Int(x as i64))),
            b'J' => self.number(4).and_then(|x| self.push(Value::Int(i64::from(x as u32 as i32)))),
            0x8a => self.number(1).and_then(|length| self.long(length)),
            0x8b => self.number(4).and_then(|length| self.long(length)),
            b'G' => self.take(8).and_then(|_| self.push(Value::Other)),
            b'X' => self.text(4),
            0x8c => self.text(1),
            0x8d => self.text(8),
            b'U' | b'C' => self.opaque(1),
            b'T' | b'B' => self.opaque(4),
            0x8e | 0x96 => self.opaque(8),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module as usize], &self.values[name as usize]) {
                    (&Value::Text(module), &Value::Text(name)) => self.push(Value::Global(module, name)),
                    _ => Err("an import whose name is no text".into()),
                }
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.take_last(usize::from(opcode - 0x84)).and_then(|items| self.push(Value::Tuple(items))),
            b't' | 0x91 => self.take_to_mark().and_then(|items| self.push(Value::Tuple(items))),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'l' => self.take_to_mark().and_then(|items| self.push(Value::List(items))),
            b'a' => self.take_last(1).and_then(|items| self.extend(items)),
            b'e' | 0x90 => self.take_to_mark().and_then(|items| self.extend(items)),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let items = self.take_to_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.set(&items)
            }
            b's' => self.take_last(2).and_then(|items| self.set(&items)),
            b'u' => self.take_to_mark().and_then(|items| self.set(&items)),
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Value::Call(Box::new(Call { function, arguments, items: Vec::new(), state: None })))
            }
            0x92 => {
                let (_, arguments, function) = (self.pop()?, self.pop()?, self.pop()?);
                self.push(Value::Call(Box::new(Call { function, arguments, items: Vec::new(), state: None })))
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                if let Value::Call(call) = &mut self.values[object as usize] {
                    call.state = Some(state);
                }
                Ok(())
            }
            b'Q' => self.pop().and_then(|id| self.push(Value::Persistent(id))),
            b'q' => self.number(1).and_then(|key| self.memoize(key as u32)),
            b'r' => self.number(4).and_then(|key| self.memoize(key as u32)),
            0x94 => self.memoize(self.memo.len() as u32),
            b'h' => self.number(1).and_then(|key| self.recall(key as u32)),
            b'j' => self.number(4).and_then(|key| self.recall(key as u32)),
            other => Err(format!("opcode {other:#04x} at byte {}", self.at - 1)),
        }
    }

    fn check_count(&self, count: usize) -> Result<(), String> {
        if count > MAX_VALUES { Err(format!("more than {MAX_VALUES} values")) } else { Ok(()) }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        self.check_count(self.values.len() + 1)?;
        self.values.push(value);
        self.push_id((self.values.len() - 1) as Id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), String> {
        self.stack.push(id);
        self.check_count(self.stack.len())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "an empty stack".into())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "an empty stack".into())
    }

    /// Takes the values that were pushed since the last mark.
    fn take_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or("no mark")?;
        self.split_off(mark)
    }

    /// Takes the last `count` values.
    fn take_last(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let from = self.stack.len().checked_sub(count).ok_or("an empty stack")?;
        self.split_off(from)
    }

    /// Takes the upper part of the stack, as elements of a tuple, list or dict.
    fn split_off(&mut self, from: usize) -> Result<Vec<Id>, String> {
        self.elements += self.stack.len() - from;
        if self.elements > MAX_ELEMENTS {
            return Err(format!("more than {MAX_ELEMENTS} elements"));
        }
        Ok(self.stack.split_off(from))
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.values[list as usize] {
            Value::List(list) => list.extend(items),
            Value::Call(_) => {}
            _ => return Err("an element of something that is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = self.top()?;
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match &mut self.values[dict as usize] {
            Value::Dict(dict) => dict.extend(pairs),
            Value::Call(call) => call.items.extend(pairs),
            _ => return Err("an item of something that is no dict".into()),
        }
        Ok(())
    }

    fn memoize(&mut self, key: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        self.check_count(self.memo.len())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or_else(|| format!("a value {key} that was never stored"))?;
        self.push_id(id)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() as u64 {
            return Err(format!("its end at byte {}", self.bytes.len()));
        }
        self.at += length as usize;
        Ok(&rest[..length as usize])
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// Reads an unsigned little-endian number of up to 8 bytes.
    fn number(&mut self, length: u64) -> Result<u64, String> {
        Ok(self.take(length)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Reads a signed little-endian number of any length.
    fn long(&mut self, length: u64) -> Result<(), String> {
        let bytes = self.take(length)?;
        let value = match bytes.last() {
            None => Value::Int(0),
            Some(_) if bytes.len() > 8 => Value::Other,
            Some(&last) => {
                let sign = if last < 128 { 0 } else { -1i64 };
                Value::Int(bytes.iter().rev().fold(sign, |number, &byte| number << 8 | i64::from(byte)))
            }
        };
        self.push(value)
    }

    fn text(&mut self, width: u64) -> Result<(), String> {
        let length = self.number(width)?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text that is not UTF-8")?;
        self.push(Value::Text(text))
    }

    fn opaque(&mut self, width: u64) -> Result<(), String> {
        let length = self.number(width)?;
        self.take(length)?;
        self.push(Value::Other)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("an import without an end")?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| "an import that is not UTF-8".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_read_and_calls_are_only_written_down() {
        // pickle.dumps((None, True, -2, 300, 'ab', {'k': [1]}), protocol=2)
        let bytes = [
            &b"\x80\x02(N\x88J\xfe\xff\xff\xffM,\x01X\x02\x00\x00\x00abq\x00}q\x01"[..],
            b"X\x01\x00\x00\x00kq\x02]q\x03K\x01astq\x04.",
        ];
        let bytes = bytes.concat();
        let pickle = Pickle::read(&bytes).unwrap();
        let Value::Tuple(items) = pickle.root() else { panic!("{pickle:?}") };
        let shown: Vec<String> = items.iter().map(|&id| format!("{:?}", pickle.get(id))).collect();
        assert_eq!(shown[..5], ["None", "Bool(true)", "Int(-2)", "Int(300)", "Text(\"ab\")"]);
        let (key, value) = pickle.items(pickle.get(items[5])).unwrap()[0];
        assert!(matches!(pickle.get(key), Value::Text("k")), "{pickle:?}");
        assert!(matches!(pickle.get(value), Value::List(list) if matches!(pickle.get(list[0]), Value::Int(1))));

        // Python would call os.system('rm -rf /').
        let pickle = Pickle::read(b"cos\nsystem\n(X\x08\x00\x00\x00rm -rf /tR.").unwrap();
        let Value::Call(call) = pickle.root() else { panic!("{pickle:?}") };
        assert_eq!(pickle.function(call), Some(("os", "system")));
    }

    #[test]
    fn long_integers_have_a_sign() {
        for (bytes, expected) in [(&b"\x8a\x01\xff."[..], -1), (b"\x8a\x02\xff\x00.", 255), (b"\x8a\x00.", 0)] {
            assert!(matches!(Pickle::read(bytes).unwrap().root(), Value::Int(x) if *x == expected), "{bytes:?}");
        }
    }

    #[test]
    fn nesting_is_limited_and_does_not_recurse() {
        let mut deep = vec![b'N'];
        deep.resize(400_000, 0x85);
        deep.push(b'.');
        assert!(Pickle::read(&deep).is_ok());
        deep.splice(1..1, vec![0x85; 400_000]);
        assert!(Pickle::read(&deep).unwrap_err().contains("more than"));
    }
}
