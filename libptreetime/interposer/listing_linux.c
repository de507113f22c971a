#include "listing.h"

enum { MOST_WORDS = 8192 }; /* on the stack of whoever calls, perhaps between vfork and exec */

static const char preload[] = "LD_PRELOAD=", listing[] = "LD_TRACE_LOADED_OBJECTS=", library[] = "libptreetime";

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != '\0')
    length++;
  return length;
}

static int begins_with(const char *text, const char *beginning) {
  while (*beginning != '\0' && *text == *beginning)
    text++, beginning++;
  return *beginning == '\0';
}

static int is_between(char byte) { return byte == ':' || byte == ' ' || byte == '\t' || byte == '\n'; }

/* Is ours in the first length bytes? */
static int names_us(const char *text, size_t length) {
  for (size_t at = 0; at + sizeof library - 1 <= length; at++)
    if (begins_with(text + at, library))
      return 1;
  return 0;
}

static int asks_the_linker(char *const argv[]) {
  const char *name = argv == NULL || argv[0] == NULL ? "" : argv[0];
  for (const char *at = name; *at != '\0'; at++)
    if (*at == '/')
      name = at + 1;
  for (size_t i = 1; begins_with(name, "ld") && argv[i] != NULL; i++)
    if (begins_with(argv[i], "--list") && argv[i][sizeof "--list" - 1] == '\0')
      return 1;
  return 0;
}

size_t ptreetime_listing_words(char *const argv[], char *const environment[]) {
  size_t count = 0, room = 0;
  int wanted = asks_the_linker(argv);
  if (environment == NULL)
    return 0;
  for (; environment[count] != NULL; count++) {
    const char *entry = environment[count];
    wanted |= begins_with(entry, listing);
    if (begins_with(entry, preload) && names_us(entry, length_of(entry)))
      room += length_of(entry) + 1;
  }
  size_t words = count + 1 + (room + sizeof(char *) - 1) / sizeof(char *);
  return wanted && room != 0 && words <= MOST_WORDS ? words : 0;
}

/* Writes the value without us; returns where it ends. */
static char *write_without_us(char *to, const char *entry) {
  while (*entry != '=')
    *to++ = *entry++;
  *to++ = *entry++;
  while (*entry != '\0') {
    size_t length = 0;
    while (entry[length] != '\0' && !is_between(entry[length]))
      length++;
    size_t with_end = length + (entry[length] != '\0');
    for (size_t i = 0; !names_us(entry, length) && i < with_end; i++)
      *to++ = entry[i];
    entry += with_end;
  }
  *to++ = '\0';
  return to;
}

char *const *ptreetime_listing_environment(char *const environment[], char **words) {
  size_t count = 0;
  while (environment[count] != NULL)
    count++;
  char *text = (char *)(words + count + 1);
  for (size_t i = 0; i < count; i++) {
    words[i] = environment[i];
    if (begins_with(environment[i], preload) && names_us(environment[i], length_of(environment[i]))) {
      words[i] = text;
      text = write_without_us(text, environment[i]);
    }
  }
  words[count] = NULL;
  return words;
}
