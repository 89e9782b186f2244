# A stand-in for nixpkgs: the packages and functions that the flake uses, and no others, so that a name which is
# misspelt there is an error here. Functions take the arguments that nixpkgs' own take; derivations are real ones,
# never built.
{ system, overlays }:
let
  stub =
    name: attributes:
    derivation (
      {
        inherit name system;
        builder = "/bin/false";
      }
      // attributes
    );

  named =
    names:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = stub name { };
      }) names
    );

  packages =
    named [
      "bpftools"
      "chromium"
      "curl"
      "elfutils"
      "git"
      "gnumake"
      "iproute2"
      "iptables"
      "kubectl"
      "libseccomp"
      "makeBinaryWrapper"
      "nftables"
      "nixfmt-tree"
      "nodejs"
      "pkg-config"
      "util-linux"
      "zlib"
    ]
    // {
      inherit stub;
      lib = import ./lib.nix;
      llvmPackages = named [ "clang-unwrapped" ];

      stdenv.hostPlatform.node = {
        arch =
          {
            x86_64-linux = "x64";
            aarch64-linux = "arm64";
          }
          .${system};
        platform = "linux";
      };

      mkShell =
        {
          packages,
          shellHook,
          env,
        }:
        stub "shell" ({ inherit packages shellHook; } // env);
      runCommand =
        name: environment: text:
        stub name (environment // { inherit text; });
      # Its text, where others say its path.
      writeShellScript = name: text: { outPath = text; };

      importNpmLock = {
        npmConfigHook = stub "npm-config-hook" { };
        __functor =
          _:
          { package, packageLock }: stub package.name { } // { inherit package packageLock; };
      };

      makeRustPlatform =
        { cargo, rustc }:
        {
          buildRustPackage =
            {
              pname,
              version,
              src,
              cargoLock,
              auditable,
              doCheck,
              nativeBuildInputs,
              buildInputs,
              npmRoot,
              npmDeps,
              preBuild,
              cargoBuildFlags ? [ ],
              buildPhase ? "",
              installPhase ? "",
              postInstall ? "",
              meta ? { },
            }:
            stub "${pname}-${version}" {
              inherit cargo auditable doCheck nativeBuildInputs buildInputs npmRoot npmDeps;
              inherit preBuild cargoBuildFlags buildPhase installPhase postInstall;
              src = "${src}";
              lock = builtins.readFile cargoLock.lockFile;
            }
            // {
              inherit npmDeps meta;
            };
        };
    };

  final = builtins.foldl' (previous: overlay: previous // overlay final previous) packages overlays;
in
final
