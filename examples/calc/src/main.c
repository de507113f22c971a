#include "repl.h"

#include <stdlib.h>
#include <string.h>

static const char USAGE[] = "usage: calc [-f | -l] [-u] [-e TEXT | FILE]\n"
                            "  -e TEXT  evaluate TEXT\n"
                            "  -f       print the program in its canonical spelling instead of running it\n"
                            "  -l       list the bytecode instead of running it\n"
                            "  -u       leave constants unfolded\n"
                            "Without TEXT and FILE, lines are read from the standard input.\n";

struct options {
  enum session_mode mode;
  bool fold;
  const char *text, *path;
};

static bool read_options(struct options *options, int count, char **arguments) {
  for (int i = 1; i < count; i++) {
    if (strcmp(arguments[i], "-f") == 0)
      options->mode = SESSION_FORMAT;
    else if (strcmp(arguments[i], "-l") == 0)
      options->mode = SESSION_LIST;
    else if (strcmp(arguments[i], "-u") == 0)
      options->fold = false;
    else if (strcmp(arguments[i], "-e") == 0 && i + 1 < count)
      options->text = arguments[++i];
    else if (arguments[i][0] != '-' && !options->path)
      options->path = arguments[i];
    else
      return false;
  }
  return !(options->text && options->path);
}

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  size_t capacity = 4096, used = 0;
  char *text = malloc(capacity);
  while (text) {
    used += fread(text + used, 1, capacity - used, file);
    if (used < capacity)
      break;
    char *grown = realloc(text, capacity *= 2);
    if (!grown)
      free(text);
    text = grown;
  }
  fclose(file);
  *length = used;
  return text;
}

int main(int count, char **arguments) {
  struct options options = {SESSION_RUN, true, NULL, NULL};
  if (!read_options(&options, count, arguments)) {
    fputs(USAGE, stderr);
    return 2;
  }
  struct session *session = session_new(stdout, stderr);
  if (!session) {
    fputs("calc: out of memory\n", stderr);
    return 70;
  }
  session->fold = options.fold;
  bool good;
  char *content = NULL;
  if (options.text) {
    struct source source = {"argument", options.text, strlen(options.text)};
    good = session_evaluate(session, &source, options.mode);
  } else if (options.path) {
    struct source source = {options.path, NULL, 0};
    content = read_file(options.path, &source.length);
    source.text = content;
    if (!content)
      perror(options.path);
    good = content && session_evaluate(session, &source, options.mode);
  } else {
    good = repl_run(session, stdin);
  }
  session_free(session);
  free(content);
  return good ? 0 : 1;
}
