# A stand-in for nixpkgs' library: what the flake uses of it, as far as it uses it.
rec {
  genAttrs =
    names: value:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = value name;
      }) names
    );
  getVersion = package: (builtins.parseDrvName package.name).version;
  versionAtLeast = version: least: builtins.compareVersions version least >= 0;
  assertMsg = condition: message: condition || throw message;
  importJSON = file: builtins.fromJSON (builtins.readFile file);
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  removePrefix =
    prefix: text:
    if hasPrefix prefix text then
      builtins.substring (builtins.stringLength prefix) (builtins.stringLength text) text
    else
      text;
  findFirst =
    wanted: default: list:
    builtins.head (builtins.filter wanted list ++ [ default ]);
  last = list: builtins.elemAt list (builtins.length list - 1);
  # Of separators that mean nothing in a regular expression.
  splitString = separator: text: builtins.filter builtins.isString (builtins.split separator text);
  inherit (builtins) mapAttrs;
  filterAttrs =
    keeps: set:
    removeAttrs set (builtins.filter (name: !keeps name set.${name}) (builtins.attrNames set));
  # Answers what was chosen, for nothing is copied here.
  fileset = {
    unions = map (
      file:
      if builtins.pathExists file then
        baseNameOf file
      else
        throw "a file that is not there: ${toString file}"
    );
    toSource = { root, fileset }: builtins.concatStringsSep " " ([ (toString root) ] ++ fileset);
  };
}
