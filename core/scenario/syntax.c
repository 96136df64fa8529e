/* What libyaml says of a file it cannot read, translated: what is wrong, what was expected. */
#include "scenario/syntax.h"

#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 character at `at`, with its code point; 0 when it is none. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret_code) {
  unsigned char first = at[0];
  size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size == 0 || first > 0xf4 || size > left) return 0;
  uint32_t code = size == 1 ? first : first & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (at[i] & 0x3fu);
  }
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
  *ret_code = code;
  return size;
}

/* YAML 1.1, production c-printable, and the byte order mark. */
static bool is_printable(uint32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  if (code < 0xa0) return code < 0x7f || code == 0x85;
  return code != 0xfffe && code != 0xffff;
}

bool syntax_check_encoding(const char *bytes, size_t length, const char *argument,
                           struct mistakes *mistakes) {
  const unsigned char *text = (const unsigned char *)bytes;
  struct place place = {.argument = argument, .line = 1, .column = 1};
  if (length >= 2 &&
      ((text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff))) {
    mistakes_add(mistakes, &place, "the text is UTF-16; expected UTF-8");
    return false;
  }
  for (size_t i = 0; i < length;) {
    uint32_t code = 0;
    size_t size = decode(text + i, length - i, &code);
    if (size == 0) {
      mistakes_add(mistakes, &place, "byte 0x%02x is not UTF-8; expected UTF-8 text", text[i]);
      return false;
    }
    if (!is_printable(code)) {
      mistakes_add(mistakes, &place, "control character U+%04X; expected text", code);
      return false;
    }
    bool line_ends = code == '\n' || (code == '\r' && (i + 1 == length || text[i + 1] != '\n'));
    place.line += line_ends;
    place.column = line_ends ? 1 : place.column + 1;
    i += size;
  }
  return true;
}

/* The rest of a line from a mark on, without a comment and trailing blanks; between brackets, what
 * belongs to the one value. */
static void line_from(const char *bytes, size_t length, const yaml_mark_t *mark, bool in_brackets,
                      char *rest, size_t size) {
  const char *at = bytes, *end = bytes + length;
  for (size_t line = 0; line < mark->line && at < end; at++)
    if (*at == '\n') line++;
  /* Columns count characters: continuation bytes are stepped over. */
  for (size_t column = 0; column < mark->column && at < end; column++) do
      at++;
    while (at < end && ((unsigned char)*at & 0xc0) == 0x80);
  size_t count = 0;
  while (at + count < end && at[count] != '\n' && at[count] != '\r' && count + 1 < size) {
    if (at[count] == '#' && count > 0 && at[count - 1] == ' ') break;
    if (in_brackets && strchr(",[]{}", at[count])) break;
    count++;
  }
  if (count + 1 == size && at + count < end) /* cut: not inside a character */
    while (count > 0 && ((unsigned char)at[count] & 0xc0) == 0x80) count--;
  while (count > 0 && (at[count - 1] == ' ' || at[count - 1] == '\t')) count--;
  memcpy(rest, at, count);
  rest[count] = '\0';
}

/* One row a complaint of libyaml. */
struct translation {
  const char *problem; /* as libyaml writes it */
  const char *context; /* NULL: any */
  const char *message; /* ours; %s is the rest of the line, %d the line where the context began */
  enum { TEXT_ONLY, WITH_REST, WITH_LINE } with;
  bool at_context; /* located where the construct began, not where it broke */
};

static const struct translation translations[] = {
    {"did not find expected comment or line break", "while scanning a block scalar",
     "'>' and '|' begin a block of text in YAML; expected a quoted value: \"%s\"", WITH_REST, true},
    {"found character that cannot start any token", NULL,
     "a value cannot begin with this character; expected it in quotes: %s", WITH_REST, false},
    {"mapping values are not allowed in this context", NULL,
     "':' is not expected here; expected a new line before the key, the indentation of the keys "
     "above, or quotes around a value that holds ': '",
     TEXT_ONLY, false},
    {"found unexpected ':'", "while scanning a plain scalar",
     "':' touches a word between brackets; expected a space after the ':' of a key, or the value "
     "in "
     "quotes",
     TEXT_ONLY, false},
    {"could not find expected ':'", NULL, "a key without a value; expected ':' after it", TEXT_ONLY,
     true},
    {"did not find expected key", "while parsing a block mapping",
     "expected a key here, indented as the other keys of the mapping that begins on line %d",
     WITH_LINE, false},
    {"did not find expected '-' indicator", NULL,
     "expected '- ' here, as in the list that begins on line %d", WITH_LINE, false},
    {"block sequence entries are not allowed in this context", NULL,
     "'- ' is not expected here; expected the list on lines of its own below its key", TEXT_ONLY,
     false},
    {"did not find expected ',' or ']'", NULL,
     "expected ',' or ']' here: '[' on line %d is not closed", WITH_LINE, false},
    {"did not find expected ',' or '}'", NULL,
     "expected ',' or '}' here: '{' on line %d is not closed; between '{' and '}' a value that "
     "holds any of [ ] { } , must be quoted",
     WITH_LINE, false},
    {"found unexpected end of stream", "while scanning a quoted scalar",
     "a quoted text is not closed; expected the same quote at its end", TEXT_ONLY, true},
    {"found unknown escape character", NULL,
     "an unknown escape in a text in double quotes; expected \\\\ for a backslash, or single "
     "quotes",
     TEXT_ONLY, false},
    {"found a tab character that violates indentation", NULL,
     "a tab in the indentation; expected spaces", TEXT_ONLY, false},
    {"found a tab character where an indentation space is expected", NULL,
     "a tab in the indentation; expected spaces", TEXT_ONLY, false},
    {"did not find expected alphabetic or numeric character", "while scanning an alias",
     "'*' begins an alias in YAML; expected a name after it, or the value in quotes", TEXT_ONLY,
     true},
    {"did not find expected alphabetic or numeric character", "while scanning an anchor",
     "'&' begins an anchor in YAML; expected a name after it, or the value in quotes", TEXT_ONLY,
     true},
};

static const struct translation *find_translation(const yaml_parser_t *parser) {
  for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++) {
    const struct translation *row = &translations[i];
    if (strcmp(parser->problem, row->problem) != 0) continue;
    if (!row->context || (parser->context && strcmp(parser->context, row->context) == 0))
      return row;
  }
  return NULL;
}

static struct place place_at(const yaml_mark_t *mark, const char *argument) {
  return (struct place){
      .argument = argument, .line = (int)mark->line + 1, .column = (int)mark->column + 1};
}

static void add_translated(const yaml_parser_t *parser, const struct translation *row,
                           const char *bytes, size_t length, const char *argument,
                           struct mistakes *mistakes) {
  const yaml_mark_t *mark =
      row->at_context && parser->context ? &parser->context_mark : &parser->problem_mark;
  struct place place = place_at(mark, argument);
  char line[64], rest[64];
  line_from(bytes, length, mark, parser->flow_level > 0, line, sizeof line);
  if (line[0] == '\t') {
    mistakes_add(mistakes, &place, "a tab in the indentation; expected spaces");
    return;
  }
  show_text(line, rest, sizeof rest);
  char message[384];
  size_t used = 0;
  for (const char *from = row->message; *from && used + sizeof rest < sizeof message; from++) {
    int written = 1;
    if (row->with != TEXT_ONLY && from[0] == '%') {
      size_t room = sizeof message - used;
      written = row->with == WITH_REST
                    ? snprintf(message + used, room, "%s", rest)
                    : snprintf(message + used, room, "%d", (int)parser->context_mark.line + 1);
      from++;
    } else {
      message[used] = *from;
    }
    used += (size_t)written;
  }
  message[used] = '\0';
  mistakes_add(mistakes, &place, "%s", message);
}

void syntax_add_mistake(const yaml_parser_t *parser, const char *bytes, size_t length,
                        const char *argument, struct mistakes *mistakes) {
  struct place place = place_at(&parser->problem_mark, argument);
  if (parser->error == YAML_READER_ERROR) {
    place = (struct place){.argument = argument, .line = 1, .column = 1};
    mistakes_add(mistakes, &place, "not a text: %s; expected UTF-8", parser->problem);
    return;
  }
  const struct translation *row = find_translation(parser);
  if (row)
    add_translated(parser, row, bytes, length, argument, mistakes);
  else
    mistakes_add(mistakes, &place, "not valid YAML: %s%s%s; expected YAML 1.1", parser->problem,
                 parser->context ? ", " : "", parser->context ? parser->context : "");
}
