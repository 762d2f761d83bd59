// mfa.hpp keeps up with mfa.h: each function, field and constant of the C header is used by the binding,
// or listed here with the reason why not. Reads both files from the folder in MFA_TEST_INCLUDE, or from
// `include` beside this source's `tests`.
#include "check.hpp"

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

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

// The first group of each match.
static std::set<std::string> all(const std::string& text, const std::string& pattern)
{
    const std::regex regex(pattern);
    std::set<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
        found.insert((*it)[1]);
    }
    return found;
}

static void check_used(const std::string& what, const std::set<std::string>& names, const std::set<std::string>& used,
                       const std::map<std::string, std::string>& left_out, std::size_t at_least)
{
    check(names.size() >= at_least, what + "s are found in mfa.h", "only " + std::to_string(names.size()));
    for (const auto& name : names) {
        const bool is_used = used.count(name) != 0;
        const bool is_left_out = left_out.count(name) != 0;
        check(is_used != is_left_out, what + " " + name,
              is_used ? "is used, and said to be left out" : "mfa.hpp does not use it");
    }
    for (const auto& it : left_out) {
        check(names.count(it.first) != 0, "left out: " + it.first, "mfa.h does not have it");
    }
}

int main()
{
    const auto c = read("mfa.h");
    const auto cpp = read("mfa.hpp");

    // A declaration begins its line: not a call, not a callback's type.
    const auto functions = all(c, "\\n(?:const )?[a-z0-9_]+ \\*?(mfa_[a-z0-9_]+)\\(");
    check_used("function", functions, all(cpp, "\\b(mfa_[a-z0-9_]+)\\b"), {}, 22);

    for (const auto& name : all(c, "typedef struct (mfa_[a-z0-9_]+) \\{")) {
        const auto begin = c.find("typedef struct " + name + " {");
        const auto fields = all(c.substr(begin, c.find('}', begin) - begin), "\\b([a-z0-9_]+)(?:\\[\\d+\\])?;");
        std::map<std::string, std::string> left_out;
        if (name == "mfa_request") {
            left_out["reserved"] = "is 0";
        }
        check_used(name + " field", fields, all(cpp, "(?:\\.|&)([a-z0-9_]+)\\b"), left_out, 2);
    }

    const auto constants = all(c, "#define (MFA_[A-Z0-9_]+) \\d");
    check_used("constant", constants, all(cpp, "\\b(MFA_[A-Z0-9_]+)\\b"),
               {{"MFA_VERSION_MAJOR", "the loaded library's version counts"},
                {"MFA_VERSION_MINOR", "the loaded library's version counts"},
                {"MFA_VERSION_PATCH", "the loaded library's version counts"}},
               30);

    // Private macros must not be left behind.
    for (const auto& macro : all(cpp, "#define (\\w+)")) {
        check(macro == "MFA_HPP" || all(cpp, "#undef (\\w+)").count(macro) != 0, "macro " + macro, "it leaks");
    }
#ifdef MFA_HPP_EXCEPTIONS
    check(false, "macro MFA_HPP_EXCEPTIONS", "it leaks");
#endif
    // Only the C header and the standard library.
    const auto quoted = all(cpp, "#include (\"[^\"]*\")");
    check(quoted.empty() &&
              all(cpp, "#include <(\\w+\\.h)>") == std::set<std::string>{"mfa.h"},
          "only <mfa.h> and the standard library are included");
    return check_finish();
}
