// mfa.hpp keeps up with mfa.h: each function, field and constant of the C header is used by the binding,
// or listed here with the reason why not. Reads both files from the folder in MFA_TEST_INCLUDE, or from
// `include` beside this source's `tests`.
#include "check.hpp"

#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

static std::string include_folder()
{
    if (const char* told = std::getenv("MFA_TEST_INCLUDE")) {
        return told;
    }
    const std::string here = __FILE__;
    const auto slash = here.find_last_of('/');
    return (slash == here.npos ? std::string(".") : here.substr(0, slash)) + "/../../include";
}

static std::string without_comments(const std::string& text)
{
    std::string rest;
    for (std::size_t i = 0; i < text.size();) {
        const bool block = text.compare(i, 2, "/*") == 0;
        if (block || text.compare(i, 2, "//") == 0) {
            const auto end = text.find(block ? "*/" : "\n", i);
            i = end == text.npos ? text.size() : end + (block ? 2 : 0);
            rest += ' ';
        } else {
            rest += text[i++];
        }
    }
    return rest;
}

static std::string read(const std::string& name)
{
    std::ifstream file(include_folder() + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    if (!file || text.str().empty()) {
        std::printf("not ok setup: cannot read %s/%s; set MFA_TEST_INCLUDE\n", include_folder().c_str(), name.c_str());
        std::exit(2);
    }
    return without_comments(text.str());
}

using names = std::set<std::string>;

static bool in_a_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The words that begin with `prefix`; with `after`, only those behind one of its characters.
static names words(const std::string& text, const std::string& prefix, const std::string& after = "")
{
    names found;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (!in_a_word(text[i])) {
            continue;
        }
        auto end = i;
        while (end < text.size() && in_a_word(text[end])) {
            end++;
        }
        const bool fits = after.empty() || (i > 0 && after.find(text[i - 1]) != after.npos);
        if (fits && text.compare(i, prefix.size(), prefix) == 0) {
            found.insert(text.substr(i, end - i));
        }
        i = end;
    }
    return found;
}

static std::vector<std::string> lines(const std::string& text)
{
    std::stringstream stream(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) {
        all.push_back(line);
    }
    return all;
}

// What follows `begin` in the lines that begin with it, up to one of the characters in `end`.
static names after(const std::string& text, const std::string& begin, const std::string& end)
{
    names found;
    for (const auto& line : lines(text)) {
        if (line.compare(0, begin.size(), begin) == 0) {
            found.insert(line.substr(begin.size(), line.find_first_of(end, begin.size()) - begin.size()));
        }
    }
    return found;
}

// The functions that a C header declares: "TYPE name(" at the beginning of a line.
static names declared_functions(const std::string& text)
{
    names found;
    for (const auto& line : lines(text)) {
        const auto bracket = line.find('(');
        if (line.empty() || !in_a_word(line[0]) || bracket == line.npos || line.compare(0, 7, "typedef") == 0) {
            continue;
        }
        auto begin = bracket;
        while (begin > 0 && in_a_word(line[begin - 1])) {
            begin--;
        }
        found.insert(line.substr(begin, bracket - begin));
    }
    return found;
}

// The fields of a C struct: the last word before each semicolon, without an array's length.
static names fields_of(const std::string& text, const std::string& name)
{
    const auto begin = text.find("typedef struct " + name + " {");
    std::stringstream body(text.substr(text.find('{', begin) + 1, text.find('}', begin) - text.find('{', begin) - 1));
    names found;
    for (std::string field; std::getline(body, field, ';');) {
        field = field.substr(0, field.find('['));
        auto word = field.size();
        while (word > 0 && in_a_word(field[word - 1])) {
            word--;
        }
        if (word < field.size()) {
            found.insert(field.substr(word));
        }
    }
    return found;
}

static void check_used(const std::string& what, const names& wanted, const names& used,
                       const std::map<std::string, std::string>& left_out, std::size_t at_least)
{
    check(wanted.size() >= at_least, what + "s are found in mfa.h", "only " + std::to_string(wanted.size()));
    for (const auto& name : wanted) {
        const bool is_used = used.count(name) != 0;
        const bool is_left_out = left_out.count(name) != 0;
        check(is_used != is_left_out, what + " " + name,
              is_used ? "is used, and said to be left out" : "mfa.hpp does not use it");
    }
    for (const auto& it : left_out) {
        check(wanted.count(it.first) != 0, "left out: " + it.first, "mfa.h does not have it");
    }
}

// Where mfa.hpp reads or writes a C struct: the beginnings of classes and functions. A field of one struct
// must not count as used because another has one of the same name.
static const std::map<std::string, std::vector<std::string>> about = {
    {"mfa_error", {"class error {"}},
    {"mfa_transaction", {"class snapshot {"}},
    {"mfa_availability", {"class availability {"}},
    {"mfa_two_factor_types", {"class two_factor_types {"}},
    {"mfa_registration", {"class registration {"}},
    {"mfa_client_options", {"    mfa_client_options client(", "result<client_handle<Native, Free>> make_client("}},
    {"mfa_call_options", {"class call : "}},
    {"mfa_request", {"    mfa_request request("}},
    {"mfa_wait_options", {"    mfa_wait_options wait(", "    mfa_wait_options schedule("}},
    {"mfa_waiter_options", {"    mfa_waiter_options waiter("}},
    {"mfa_event", {"class ended {", "    void hand_out("}},
};

static std::map<std::string, std::string> fields_left_out(const std::string& name)
{
    std::map<std::string, std::string> left_out = {{"struct_size", "is set by defaults()"}};
    if (name == "mfa_error") {
        left_out.clear(); // Its class makes an empty one itself.
    } else if (name == "mfa_request") {
        left_out["reserved"] = "is 0";
    } else if (name == "mfa_waiter_options") {
        left_out["flags"] = "there is none yet";
    } else if (name == "mfa_event") {
        left_out["reserved"] = "is 0";
    }
    return left_out;
}

// A class or function: from the line that begins so to the brace that closes at the same depth.
static std::string part(const std::string& text, const std::string& begin)
{
    const std::string closing = begin.substr(0, begin.find_first_not_of(' ')) + "}";
    std::string found;
    for (const auto& line : lines(text)) {
        if (!found.empty() || line.compare(0, begin.size(), begin) == 0) {
            found += line + "\n";
            if (line.compare(0, closing.size(), closing) == 0) {
                return found;
            }
        }
    }
    return "";
}

static std::string parts_about(const std::string& text, const std::string& name)
{
    const auto beginnings = about.find(name);
    check(beginnings != about.end(), name + " is looked for in mfa.hpp", "`about` does not say where");
    std::string found;
    for (const auto& begin : beginnings == about.end() ? std::vector<std::string>() : beginnings->second) {
        const auto one = part(text, begin);
        check(!one.empty(), begin + " is found", "mfa.hpp does not have it");
        found += one;
    }
    return found;
}

int main()
{
    const auto c = read("mfa.h");
    const auto cpp = read("mfa.hpp");

    check_used("function", declared_functions(c), words(cpp, "mfa_"), {}, 22);

    for (const auto& name : after(c, "typedef struct ", " ")) {
        if (c.find("typedef struct " + name + " {") != c.npos) {
            const auto left_out = fields_left_out(name);
            check_used(name + " field", fields_of(c, name), words(parts_about(cpp, name), "", ".&"), left_out, 2);
        }
    }

    names constants;
    for (const auto& name : after(c, "#define ", " \n")) {
        // The others are the guard, and the initialisers, whose structs begin as zeros here.
        if (c.find("#define " + name + " {") == c.npos && c.find("#define " + name + " \\") == c.npos && name != "MFA_H") {
            constants.insert(name);
        }
    }
    check_used("constant", constants, words(cpp, "MFA_"),
               {{"MFA_VERSION_MAJOR", "the loaded library's version counts"},
                {"MFA_VERSION_MINOR", "the loaded library's version counts"},
                {"MFA_VERSION_PATCH", "the loaded library's version counts"}},
               30);

    // Private macros must not be left behind.
    const auto undefined = after(cpp, "#undef ", " \n");
    for (const auto& macro : after(cpp, "#define ", " \n")) {
        check(macro == "MFA_HPP" || undefined.count(macro) != 0, "macro " + macro, "it leaks");
    }
#ifdef MFA_HPP_EXCEPTIONS
    check(false, "macro MFA_HPP_EXCEPTIONS", "it leaks");
#endif
    // Only the C header and the standard library, whose headers have no suffix.
    for (const auto& header : after(cpp, "#include ", "\n")) {
        check(header == "<mfa.h>" || (header[0] == '<' && header.find('.') == header.npos), "include " + header,
              "it is not the standard library's");
    }
    return check_finish();
}
