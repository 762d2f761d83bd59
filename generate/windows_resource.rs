//! The version that Windows shows of `mfa.dll`, as a compiled resource file (`.res`).
//!
//! Written here and not by a resource compiler: Microsoft's linker takes the file as it is, and GNU's
//! after `windres` has put it into an object.

/// What Explorer shows, and what an installer compares.
pub struct Version<'a> {
    /// "0.1.0"
    pub text: &'a str,
    pub description: &'a str,
    pub file: &'a str,
}

const ENGLISH: u16 = 0x0409;
const UTF_16: u16 = 1200;

pub fn file(version: &Version) -> Vec<u8> {
    let data = version_info(version);
    let mut file = Vec::new();
    // Each file begins with an empty entry.
    entry(&mut file, 0, 0, 0, 0, &[]);
    const RT_VERSION: u16 = 16;
    const VS_VERSION_INFO: u16 = 1;
    const MOVEABLE_AND_PURE: u16 = 0x30;
    entry(&mut file, RT_VERSION, VS_VERSION_INFO, MOVEABLE_AND_PURE, ENGLISH, &data);
    file
}

fn entry(file: &mut Vec<u8>, kind: u16, name: u16, flags: u16, language: u16, data: &[u8]) {
    const HEADER: u32 = 32;
    const IS_NUMBER: u16 = 0xffff;
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(HEADER.to_le_bytes());
    for word in [IS_NUMBER, kind, IS_NUMBER, name, 0, 0, flags, language, 0, 0, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(data);
    pad(file);
}

fn version_info(version: &Version) -> Vec<u8> {
    let strings = [
        ("CompanyName", "libmfa"),
        ("FileDescription", version.description),
        ("FileVersion", version.text),
        ("InternalName", "libmfa"),
        ("LegalCopyright", "MIT OR Apache-2.0"),
        ("OriginalFilename", version.file),
        ("ProductName", "libmfa"),
        ("ProductVersion", version.text),
    ];
    let strings = strings.map(|(name, value)| node(name, &Value::Text(value), &[])).concat();
    let table = node(&format!("{ENGLISH:04X}{UTF_16:04X}"), &Value::None, &strings);
    let translation = [ENGLISH.to_le_bytes(), UTF_16.to_le_bytes()].concat();
    let children = [
        node("StringFileInfo", &Value::None, &table),
        node("VarFileInfo", &Value::None, &node("Translation", &Value::Bytes(&translation), &[])),
    ];
    node("VS_VERSION_INFO", &Value::Bytes(&fixed_info(version.text)), &children.concat())
}

/// `VS_FIXEDFILEINFO`
fn fixed_info(version: &str) -> Vec<u8> {
    const SIGNATURE: u32 = 0xfeef_04bd;
    const STRUCT_VERSION: u32 = 0x0001_0000;
    const ALL_FLAGS: u32 = 0x3f;
    const NT_WINDOWS_32: u32 = 0x0004_0004;
    const DLL: u32 = 2;
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u16>().unwrap_or(0));
    let mut part = || u32::from(parts.next().unwrap_or(0));
    let (high, low) = ((part() << 16) | part(), part() << 16);
    let fields = [SIGNATURE, STRUCT_VERSION, high, low, high, low, ALL_FLAGS, 0, NT_WINDOWS_32, DLL, 0, 0, 0];
    fields.map(u32::to_le_bytes).concat()
}

enum Value<'a> {
    None,
    Bytes(&'a [u8]),
    Text(&'a str),
}

/// A block of the version's tree: its length, its value's, its type, its key, and what is in it. Each
/// part begins at a multiple of four.
fn node(key: &str, value: &Value, children: &[u8]) -> Vec<u8> {
    let (bytes, length, is_text) = match value {
        Value::None => (Vec::new(), 0, 1),
        Value::Bytes(bytes) => (bytes.to_vec(), bytes.len(), 0),
        Value::Text(text) => {
            let bytes = utf_16(text);
            let words = bytes.len() / 2;
            (bytes, words, 1u16)
        }
    };
    let mut node = vec![0, 0];
    node.extend((length as u16).to_le_bytes());
    node.extend(is_text.to_le_bytes());
    node.extend(utf_16(key));
    pad(&mut node);
    node.extend(bytes);
    let end = node.len();
    pad(&mut node);
    node.extend(children);
    // Its padding does not count, unless something follows.
    let whole = if children.is_empty() { end } else { node.len() } as u16;
    node[..2].copy_from_slice(&whole.to_le_bytes());
    pad(&mut node);
    node
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
