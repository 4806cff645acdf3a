package io.obtrace.zero.agent;

/** Takes out of a URL what may be secret. */
final class Url {
  private Url() {}

  /** The URL without user information and fragment, the values of its query replaced. */
  static String scrubbed(String url) {
    int fragment = url.indexOf('#');
    String whole = fragment < 0 ? url : url.substring(0, fragment);
    int question = whole.indexOf('?');
    String path = withoutUser(question < 0 ? whole : whole.substring(0, question));
    return question < 0 ? path : path + '?' + withoutValues(whole.substring(question + 1));
  }

  private static String withoutUser(String path) {
    int authority = path.indexOf("://");
    if (authority < 0) {
      return path;
    }
    authority += 3;
    int end = path.indexOf('/', authority);
    int at = path.lastIndexOf('@', end < 0 ? path.length() : end);
    return at < authority ? path : path.substring(0, authority) + path.substring(at + 1);
  }

  private static String withoutValues(String query) {
    StringBuilder scrubbed = new StringBuilder(query.length());
    for (int from = 0; from <= query.length(); ) {
      int ampersand = query.indexOf('&', from);
      int to = ampersand < 0 ? query.length() : ampersand;
      int equals = query.indexOf('=', from);
      if (equals >= 0 && equals < to - 1) {
        scrubbed.append(query, from, equals + 1).append("REDACTED");
      } else {
        scrubbed.append(query, from, to);
      }
      if (ampersand >= 0) {
        scrubbed.append('&');
      }
      from = to + 1;
    }
    return scrubbed.toString();
  }
}
