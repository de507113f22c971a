#include "lexer.h"

#include "number.h"

#include <ctype.h>
#include <string.h>

static const struct {
  const char *word;
  enum token_kind kind;
} KEYWORDS[] = {
    {"and", TOKEN_AND}, {"else", TOKEN_ELSE}, {"false", TOKEN_FALSE},     {"fn", TOKEN_FN},
    {"if", TOKEN_IF},   {"in", TOKEN_IN},     {"let", TOKEN_LET},         {"not", TOKEN_NOT},
    {"or", TOKEN_OR},   {"then", TOKEN_THEN}, {"nothing", TOKEN_NOTHING}, {"true", TOKEN_TRUE},
};

const char *token_kind_name(enum token_kind kind) {
  static const char *const names[TOKEN_KINDS] = {
      "the end", "an error", "a number", "a string", "a name", "'let'",   "'fn'",      "'if'", "'then'",
      "'else'",  "'and'",    "'or'",     "'not'",    "'true'", "'false'", "'nothing'", "'in'", "'+'",
      "'-'",     "'*'",      "'/'",      "'%'",      "'^'",    "'='",     "'=='",      "'!='", "'<'",
      "'<='",    "'>'",      "'>='",     "','",      "';'",    "'('",     "')'",
  };
  return names[kind];
}

static char peek(const struct lexer *lexer, uint32_t ahead) {
  return lexer->next + ahead < lexer->source->length ? lexer->source->text[lexer->next + ahead] : 0;
}

static void skip_blanks(struct lexer *lexer) {
  for (;;) {
    char c = peek(lexer, 0);
    if (c == '#') {
      while (lexer->next < lexer->source->length && lexer->source->text[lexer->next] != '\n')
        lexer->next++;
    } else if (c != 0 && isspace((unsigned char)c)) {
      lexer->next++;
    } else {
      return;
    }
  }
}

static struct token token_of(struct lexer *lexer, enum token_kind kind, uint32_t length) {
  struct token token = {kind, lexer->next, length, 0};
  lexer->next += length;
  return token;
}

static struct token lex_name(struct lexer *lexer) {
  const char *begin = lexer->source->text + lexer->next;
  uint32_t length = 1;
  while (isalnum((unsigned char)peek(lexer, length)) || peek(lexer, length) == '_')
    length++;
  for (size_t i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++)
    if (strlen(KEYWORDS[i].word) == length && memcmp(KEYWORDS[i].word, begin, length) == 0)
      return token_of(lexer, KEYWORDS[i].kind, length);
  return token_of(lexer, TOKEN_NAME, length);
}

static struct token lex_string(struct lexer *lexer) {
  uint32_t length = 1;
  for (char c; (c = peek(lexer, length)) != '"'; length++) {
    if (c == 0 || c == '\n') {
      diagnose(lexer->diagnostics, lexer->next, "this string has no end");
      return token_of(lexer, TOKEN_ERROR, length);
    }
    if (c == '\\' && peek(lexer, length + 1) != 0)
      length++;
  }
  return token_of(lexer, TOKEN_STRING, length + 1);
}

static struct token lex_number(struct lexer *lexer) {
  double number = 0;
  size_t taken = number_read(lexer->source->text + lexer->next, lexer->source->length - lexer->next, &number);
  if (taken == 0 || isalpha((unsigned char)peek(lexer, (uint32_t)taken))) {
    diagnose(lexer->diagnostics, lexer->next, "this is not a number");
    while (isalnum((unsigned char)peek(lexer, (uint32_t)taken)))
      taken++;
    return token_of(lexer, TOKEN_ERROR, (uint32_t)taken);
  }
  struct token token = token_of(lexer, TOKEN_NUMBER, (uint32_t)taken);
  token.number = number;
  return token;
}

/* One character, or two where the second is '='. */
static struct token lex_pair(struct lexer *lexer, enum token_kind alone, enum token_kind with_equal) {
  return peek(lexer, 1) == '=' ? token_of(lexer, with_equal, 2) : token_of(lexer, alone, 1);
}

struct token lexer_next(struct lexer *lexer) {
  skip_blanks(lexer);
  char c = peek(lexer, 0);
  if (lexer->next >= lexer->source->length)
    return token_of(lexer, TOKEN_END, 0);
  if (isalpha((unsigned char)c) || c == '_')
    return lex_name(lexer);
  if (isdigit((unsigned char)c))
    return lex_number(lexer);
  switch (c) {
  case '"':
    return lex_string(lexer);
  case '+':
    return token_of(lexer, TOKEN_PLUS, 1);
  case '-':
    return token_of(lexer, TOKEN_MINUS, 1);
  case '*':
    return token_of(lexer, TOKEN_STAR, 1);
  case '/':
    return token_of(lexer, TOKEN_SLASH, 1);
  case '%':
    return token_of(lexer, TOKEN_PERCENT, 1);
  case '^':
    return token_of(lexer, TOKEN_CARET, 1);
  case ',':
    return token_of(lexer, TOKEN_COMMA, 1);
  case ';':
    return token_of(lexer, TOKEN_SEMICOLON, 1);
  case '(':
    return token_of(lexer, TOKEN_OPEN, 1);
  case ')':
    return token_of(lexer, TOKEN_CLOSE, 1);
  case '=':
    return lex_pair(lexer, TOKEN_EQUAL, TOKEN_SAME);
  case '<':
    return lex_pair(lexer, TOKEN_LESS, TOKEN_LESS_SAME);
  case '>':
    return lex_pair(lexer, TOKEN_MORE, TOKEN_MORE_SAME);
  case '!':
    return lex_pair(lexer, TOKEN_ERROR, TOKEN_DIFFERENT);
  default:
    diagnose(lexer->diagnostics, lexer->next, "no token begins with this character");
  }
  return token_of(lexer, TOKEN_ERROR, 1);
}
