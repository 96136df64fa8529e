/* Lists the clusters of this machine from the registry. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "local.h"

static int list_file(const char *name, int (*found)(void *, const char *, const char *),
                     void *data) {
  char path[PATH_MAX];
  const char *suffix = strstr(name, ".json");
  if (name[0] == '.' || !suffix || suffix[5] != '\0') return 0;
  if (path_format(path, sizeof path, NULL, "%s/%s", LOCAL_REGISTRY, name) < 0) return 0;
  json_t *json = json_load_file(path, 0, NULL); /* one that is just going is no error */
  const char *id = json_string_value(json_object_get(json, "id"));
  const char *directory = json_string_value(json_object_get(json, "run_directory"));
  int answer = id && directory ? found(data, id, directory) : 0;
  json_decref(json);
  return answer;
}

int local_list(int (*found)(void *data, const char *id, const char *run_directory), void *data,
               struct error *err) {
  DIR *registry = opendir(LOCAL_REGISTRY);
  if (!registry && errno == ENOENT) return 0; /* there never was one */
  if (!registry) return error_set_errno(err, errno, "cannot read %s", LOCAL_REGISTRY);
  int answer = 0;
  for (struct dirent *entry = readdir(registry); entry && answer == 0; entry = readdir(registry))
    answer = list_file(entry->d_name, found, data);
  closedir(registry);
  return answer;
}
